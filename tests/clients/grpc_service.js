// grpc_service - the service that grpc_server.js offers and grpc_client.js calls: bytes in, bytes out.
"use strict";

const bytes = {
  requestSerialize: (value) => value,
  requestDeserialize: (value) => value,
  responseSerialize: (value) => value,
  responseDeserialize: (value) => value,
};

const method = (name, requestStream, responseStream) => ({
  path: `/lab.Lab/${name}`,
  requestStream,
  responseStream,
  ...bytes,
});

exports.lab = {
  Echo: method("Echo", false, false), // answers what it is sent, with metadata
  Fail: method("Fail", false, false), // fails with the code and words it is sent: "5 no such thing"
  Hang: method("Hang", false, false), // never answers
  Count: method("Count", false, true), // sends as many numbers as it is asked for
  Sum: method("Sum", true, false), // adds up what comes
  Chat: method("Chat", true, true), // sends each message back at once
};
