// Runs the page's code, which the page holds compressed.

async function unpacked({ textContent }) {
  const packed = Uint8Array.from(atob(textContent), (character) => character.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}

unpacked(document.getElementById("code")).then((code) => {
  const script = document.createElement("script");
  script.textContent = code;
  document.body.append(script);
});
