"""Tasks, one file each; reached by name through `nas_bench.plugins`."""

if __name__ != "nas_bench.tasks":
    raise ImportError(
        f"this folder is the package nas_bench.tasks, not {__name__}: install the repository "
        "(pip install -e .) and import nas_bench.tasks, or name a task in nas_bench.plugins"
    )
