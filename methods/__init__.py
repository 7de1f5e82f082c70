"""Growth methods, one file each; reached by name through `nas_bench.plugins`."""

if __name__ != "nas_bench.methods":
    raise ImportError(
        f"this folder is the package nas_bench.methods, not {__name__}: install the repository "
        "(pip install -e .) and import nas_bench.methods, or name a method in nas_bench.plugins"
    )
