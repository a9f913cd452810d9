// ws_client - a WebSocket client of the package ws: ws_client.js URL [CA]. Prints what it saw, as JSON.
//
// With the third argument "wait" it says "open" and waits until it is closed, and prints how.
"use strict";

const fs = require("fs");
const WebSocket = require("ws");

const [url, ca, mode] = process.argv.slice(2);
const options = {
  maxPayload: 64 * 1024 * 1024,
  ca: ca && ca !== "-" ? fs.readFileSync(ca) : undefined,
};
const open = (protocols) =>
  new Promise((resolve, reject) => {
    const socket = new WebSocket(url, protocols, options);
    socket.on("open", () => resolve(socket));
    socket.on("error", reject);
  });
const next = (socket) => new Promise((resolve) => socket.once("message", (data) => resolve(data)));
const end = (socket) =>
  new Promise((resolve) =>
    socket.once("close", (code, words) => resolve({ code, words: words.toString() })),
  );

async function wait() {
  const socket = await open();
  const ended = end(socket);
  socket.send("hello");
  await next(socket);
  console.log("open");
  console.log(JSON.stringify(await ended));
}

async function all() {
  const seen = {};
  const socket = await open(["other", "lab"]);
  seen.protocol = socket.protocol;
  socket.send("text \u00e9");
  seen.text = (await next(socket)).toString();
  const large = Buffer.alloc(2 * 1024 * 1024, "abcdefgh");
  socket.send(large);
  seen.large = large.equals(await next(socket));
  seen.pong = await new Promise((resolve) => {
    socket.once("pong", (data) => resolve(data.toString()));
    socket.ping("ping");
  });
  let said = 0;
  const heard = new Promise((resolve) => {
    socket.on("message", (data) => {
      said += data.toString() === `message ${said}` ? 1 : 0;
      if (said === 1000) {
        resolve();
      }
    });
  });
  socket.send("say 1000");
  await heard;
  seen.said = said;
  const ended = end(socket);
  socket.send("close 4001 enough");
  seen.end = await ended;

  const many = await Promise.all(
    Array.from({ length: 30 }, async (_, i) => {
      const one = await open();
      one.send(`one of many ${i}`);
      const right = (await next(one)).toString() === `one of many ${i}`;
      one.close(1000);
      await end(one);
      return right;
    }),
  );
  seen.many = many.filter(Boolean).length;
  console.log(JSON.stringify(seen));
}

(mode === "wait" ? wait() : all()).catch((error) => {
  console.log(JSON.stringify({ error: error.message }));
  process.exit(1);
});
