// grpc_server - a gRPC server of grpc-js: grpc_server.js [CHAIN KEY]. Prints its port; ends with its input.
"use strict";

const fs = require("fs");
const grpc = require("@grpc/grpc-js");
const { lab } = require("./grpc_service");

function metadataOf(call) {
  const answer = new grpc.Metadata();
  for (const value of call.metadata.get("lab-word")) {
    answer.add("lab-word-back", value);
  }
  return answer;
}

const server = new grpc.Server({
  "grpc.max_receive_message_length": -1,
  "grpc.max_send_message_length": -1,
});

server.addService(lab, {
  Echo(call, done) {
    call.sendMetadata(metadataOf(call));
    const trailer = new grpc.Metadata();
    trailer.add("lab-trailer", "at-the-end");
    done(null, call.request, trailer);
  },
  Fail(call, done) {
    const [code, ...words] = call.request.toString().split(" ");
    done({ code: Number(code), details: words.join(" ") });
  },
  Hang() {},
  Count(call) {
    const most = Number(call.request.toString());
    let next = 0;
    const send = () => {
      while (next < most) {
        if (!call.write(Buffer.from(String(next++)))) {
          call.once("drain", send);
          return;
        }
      }
      call.end();
    };
    send();
  },
  Sum(call, done) {
    let sum = 0;
    call.on("data", (value) => (sum += Number(value.toString())));
    call.on("end", () => done(null, Buffer.from(String(sum))));
  },
  Chat(call) {
    call.on("data", (value) => call.write(value));
    call.on("end", () => call.end());
  },
});

const [chain, key] = process.argv.slice(2);
const credentials = chain
  ? grpc.ServerCredentials.createSsl(null, [
      { cert_chain: fs.readFileSync(chain), private_key: fs.readFileSync(key) },
    ])
  : grpc.ServerCredentials.createInsecure();

server.bindAsync("127.0.0.1:0", credentials, (error, port) => {
  if (error) {
    throw error;
  }
  console.log(port);
});
process.stdin.on("end", () => process.exit(0));
process.stdin.resume();
