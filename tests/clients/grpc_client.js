// grpc_client - a gRPC client of grpc-js: grpc_client.js ADDRESS [CA] [CALL ...]. Prints what each call gave, as JSON.
//
// Without names of calls it makes all but Hang and Down.
"use strict";

const fs = require("fs");
const grpc = require("@grpc/grpc-js");
const { lab } = require("./grpc_service");

const [address, ca, ...names] = process.argv.slice(2);
const credentials =
  ca && ca !== "-"
    ? grpc.credentials.createSsl(fs.readFileSync(ca))
    : grpc.credentials.createInsecure();
const Client = grpc.makeGenericClientConstructor(lab, "Lab");
const client = new Client(address, credentials, {
  "grpc.max_receive_message_length": -1,
  "grpc.max_send_message_length": -1,
  "grpc.enable_retries": 0,
});

const soon = (ms) => ({ deadline: Date.now() + ms });
const failure = (error) => ({ code: error.code, details: error.details });

// The status, with the trailers, comes after the answer.
function unary(name, request, options = soon(60000), metadata = new grpc.Metadata()) {
  return new Promise((resolve) => {
    const seen = {};
    const call = client[name](request, metadata, options, (error, value) => {
      if (error) {
        resolve(failure(error));
      }
      seen.value = value;
    });
    call.on("metadata", (got) => (seen.metadata = got.get("lab-word-back")));
    call.on("status", (status) => resolve({ ...seen, trailer: status.metadata.get("lab-trailer") }));
  });
}

const calls = {
  async Echo() {
    const metadata = new grpc.Metadata();
    metadata.add("lab-word", "hello");
    const got = await unary("Echo", Buffer.from("a word"), soon(60000), metadata);
    return { ...got, value: got.value && got.value.toString() };
  },
  async Empty() {
    const got = await unary("Echo", Buffer.alloc(0));
    return { length: got.value ? got.value.length : -1, code: got.code };
  },
  async Large() {
    const sent = Buffer.alloc(3 * 1024 * 1024, "0123456789abcdef");
    const got = await unary("Echo", sent);
    return { same: got.value !== undefined && sent.equals(got.value), code: got.code };
  },
  Fail: () => unary("Fail", Buffer.from("5 no such thing: \u00e9 100%")),
  Hang: () => unary("Hang", Buffer.alloc(0), soon(1000)),
  Down: () => unary("Echo", Buffer.from("x"), soon(60000)),
  Count: () =>
    new Promise((resolve) => {
      const call = client.Count(Buffer.from("5000"), soon(60000));
      let right = 0;
      call.on("data", (value) => (right += Number(value.toString()) === right ? 1 : 0));
      call.on("error", (error) => resolve(failure(error)));
      call.on("end", () => resolve({ right }));
    }),
  Sum: () =>
    new Promise((resolve) => {
      const call = client.Sum(soon(60000), (error, value) =>
        resolve(error ? failure(error) : { sum: Number(value.toString()) }),
      );
      for (let i = 1; i <= 1000; i++) {
        call.write(Buffer.from(String(i)));
      }
      call.end();
    }),
  Chat: () =>
    new Promise((resolve) => {
      // Each message waits for the echo of the one before: nothing between may hold one back.
      const call = client.Chat(soon(60000));
      let turns = 0;
      call.on("data", (value) => {
        if (value.toString() !== `turn ${turns}`) {
          resolve({ wrong: value.toString() });
        } else if (++turns === 200) {
          call.end();
        } else {
          call.write(Buffer.from(`turn ${turns}`));
        }
      });
      call.on("error", (error) => resolve(failure(error)));
      call.on("end", () => resolve({ turns }));
      call.write(Buffer.from("turn 0"));
    }),
  async Many() {
    const all = await Promise.all(
      Array.from({ length: 300 }, (_, i) => unary("Echo", Buffer.from(`call ${i}`))),
    );
    return { right: all.filter((got, i) => got.value && got.value.toString() === `call ${i}`).length };
  },
  async Cancel() {
    const call = client.Chat(soon(60000));
    return new Promise((resolve) => {
      call.on("error", (error) => resolve(failure(error)));
      call.on("data", () => call.cancel());
      call.write(Buffer.from("x"));
    });
  },
};

(async () => {
  const chosen = names.length
    ? names
    : Object.keys(calls).filter((name) => name !== "Hang" && name !== "Down");
  const answers = {};
  for (const name of chosen) {
    answers[name] = await calls[name]();
  }
  console.log(JSON.stringify(answers));
  client.close();
})();
