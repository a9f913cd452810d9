// h2_client - HTTP/2 by node itself: h2_client.js ORIGIN [CA] [TRY ...]. Prints what each try saw, as JSON.
//
// The server behind must answer /echo with the request's body, /size/N with N bytes and /ws as ws_server.js does.
"use strict";

const fs = require("fs");
const http2 = require("http2");

const [origin, ca, ...names] = process.argv.slice(2);
const session = http2.connect(origin, {
  ca: ca && ca !== "-" ? fs.readFileSync(ca) : undefined,
  settings: { enablePush: false },
});

function ask(headers, body) {
  return new Promise((resolve) => {
    const stream = session.request(headers, { endStream: body === undefined });
    const seen = { pieces: [], reset: 0 };
    stream.on("response", (got) => (seen.status = got[":status"], seen.headers = got));
    stream.on("trailers", (got) => (seen.trailers = got));
    stream.on("data", (piece) => seen.pieces.push(piece));
    stream.on("error", (error) => (seen.error = error.message));
    stream.on("close", () => {
      seen.reset = stream.rstCode;
      seen.body = Buffer.concat(seen.pieces);
      delete seen.pieces;
      resolve(seen);
    });
    if (body !== undefined) {
      stream.end(body);
    }
  });
}

const settings = () =>
  new Promise((resolve) => {
    if (session.remoteSettings && session.remoteSettings.maxConcurrentStreams !== undefined) {
      resolve(session.remoteSettings);
    } else {
      session.once("remoteSettings", resolve);
    }
  });

// RFC 6455 5.2, as a client sends it: masked.
function frame(text) {
  const payload = Buffer.from(text);
  const mask = Buffer.from([1, 2, 3, 4]);
  const masked = Buffer.from(payload.map((byte, i) => byte ^ mask[i % 4]));
  return Buffer.concat([Buffer.from([0x81, 0x80 | payload.length]), mask, masked]);
}

const tries = {
  async Many() {
    const answers = await Promise.all(
      Array.from({ length: 500 }, (_, i) => ask({ ":path": `/size/${i}` })),
    );
    return { right: answers.filter((got, i) => got.status === 200 && got.body.length === i).length };
  },
  async Large() {
    const got = await ask({ ":path": "/size/8000000" });
    return { length: got.body.length, status: got.status };
  },
  async Upload() {
    const sent = Buffer.alloc(5 * 1024 * 1024, "0123456789");
    const got = await ask({ ":path": "/echo", ":method": "POST" }, sent);
    return { same: sent.equals(got.body), status: got.status };
  },
  async Announced() {
    const sent = Buffer.from("exactly this");
    const got = await ask(
      { ":path": "/echo", ":method": "POST", "content-length": sent.length },
      sent,
    );
    return { same: sent.equals(got.body), length: got.headers["content-length"] };
  },
  async Cancelled() {
    // One is cancelled in the middle; the others on the connection go on.
    const stream = session.request({ ":path": "/size/50000000" });
    await new Promise((resolve) => stream.once("data", resolve));
    const other = ask({ ":path": "/size/100000" });
    stream.close(http2.constants.NGHTTP2_CANCEL);
    return { other: (await other).body.length };
  },
  async Settings() {
    const got = await settings();
    return { streams: got.maxConcurrentStreams, connect: got.enableConnectProtocol };
  },
  async WebSocket() {
    await settings();
    const stream = session.request(
      {
        ":method": "CONNECT",
        ":protocol": "websocket",
        ":path": "/ws",
        "sec-websocket-version": "13",
        "sec-websocket-protocol": "lab",
      },
      { endStream: false },
    );
    const head = await new Promise((resolve, reject) => {
      stream.once("response", resolve);
      stream.once("error", reject);
    });
    let kept = Buffer.alloc(0);
    const heard = [];
    const enough = new Promise((resolve) => {
      stream.on("data", (piece) => {
        kept = Buffer.concat([kept, piece]);
        while (kept.length >= 2 && kept.length >= 2 + kept[1]) {
          heard.push(kept.subarray(2, 2 + kept[1]).toString());
          kept = kept.subarray(2 + kept[1]);
        }
        if (heard.length === 3) {
          resolve();
        }
      });
    });
    for (const text of ["one", "two", "three"]) {
      stream.write(frame(text));
    }
    await enough;
    stream.close();
    return { status: head[":status"], protocol: head["sec-websocket-protocol"], heard };
  },
};

(async () => {
  const chosen = names.length ? names : Object.keys(tries);
  const answers = {};
  for (const name of chosen) {
    answers[name] = await tries[name]();
  }
  console.log(JSON.stringify(answers));
  session.close();
})();
session.on("error", (error) => {
  console.log(JSON.stringify({ error: error.message }));
  process.exit(1);
});
