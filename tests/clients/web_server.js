// web_server - a web server of node with WebSockets of the package ws: web_server.js [CHAIN KEY].
//
// Prints its port; ends with its input. /echo gives the request's body back, /size/N N bytes, / a page that
// fetches, opens a WebSocket and reports (/report, printed here) how that went. Upgrades become WebSockets that send back what
// comes; "close 4001 words" closes so, "say N" sends N messages.
"use strict";

const fs = require("fs");
const http = require("http");
const https = require("https");
const { WebSocketServer } = require("ws");

const page = `<!doctype html><title>lbd</title><script>
const finish = (text) => fetch("/report", { method: "POST", body: text });
(async () => {
  const bodies = await Promise.all(Array.from({ length: 40 }, async (_, i) =>
    (await (await fetch("/size/" + (1000 + i))).arrayBuffer()).byteLength));
  const right = bodies.filter((length, i) => length === 1000 + i).length;
  const protocols = performance.getEntriesByType("resource").map((entry) => entry.nextHopProtocol);
  const socket = new WebSocket(location.origin.replace(/^http/, "ws") + "/ws", ["lab"]);
  socket.onopen = () => socket.send("from the page");
  socket.onerror = () => finish(JSON.stringify({ right, protocols, socket: "error" }));
  socket.onmessage = (event) => finish(JSON.stringify({
    right, protocols: [...new Set(protocols)], socket: event.data, chosen: socket.protocol }));
})().catch((error) => finish(JSON.stringify({ error: String(error) })));
</script>`;

function answer(request, response) {
  const size = /^\/size\/(\d+)$/.exec(request.url);
  if (request.url === "/") {
    response.writeHead(200, { "Content-Type": "text/html" }).end(page);
  } else if (size) {
    response.writeHead(200, { "Content-Length": size[1] });
    let left = Number(size[1]);
    const piece = Buffer.alloc(65536, "x");
    const send = () => {
      while (left > 0) {
        const part = piece.subarray(0, Math.min(left, piece.length));
        left -= part.length;
        if (!response.write(part)) {
          response.once("drain", send);
          return;
        }
      }
      response.end();
    };
    send();
  } else if (request.url === "/report") {
    request.on("data", (data) => console.log(JSON.stringify({ report: data.toString() })));
    request.on("end", () => response.writeHead(204).end());
  } else if (request.url === "/echo") {
    const pieces = [];
    request.on("data", (data) => pieces.push(data));
    request.on("end", () => {
      const body = Buffer.concat(pieces);
      response.writeHead(200, { "Content-Length": body.length }).end(body);
    });
  } else {
    response.writeHead(404).end();
  }
}

const [chain, key] = process.argv.slice(2);
const server = chain
  ? https.createServer({ cert: fs.readFileSync(chain), key: fs.readFileSync(key) }, answer)
  : http.createServer(answer);
const sockets = new WebSocketServer({
  server,
  maxPayload: 64 * 1024 * 1024,
  handleProtocols: (offered) => (offered.has("lab") ? "lab" : false),
});

sockets.on("connection", (socket) => {
  socket.on("message", (data, isBinary) => {
    const words = isBinary || data.length > 100 ? [] : data.toString().split(" ");
    if (words[0] === "close") {
      socket.close(Number(words[1]), words[2]);
    } else if (words[0] === "say") {
      for (let i = 0; i < Number(words[1]); i++) {
        socket.send(`message ${i}`);
      }
    } else {
      socket.send(data, { binary: isBinary });
    }
  });
  socket.on("close", (code, words) =>
    console.log(JSON.stringify({ closed: code, words: words.toString() })));
  socket.on("error", (error) => console.log(JSON.stringify({ error: error.message })));
});

server.listen(0, "127.0.0.1", () => console.log(server.address().port));
process.stdin.on("end", () => process.exit(0));
process.stdin.resume();
