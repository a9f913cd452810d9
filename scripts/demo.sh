#!/bin/sh
# demo.sh - three small servers and lbd in front of them, from conf/examples/demo.json, until Ctrl-C.
# Installs what is missing (that alone needs root or sudo); everything it starts runs as an ordinary
# user and ends with it.
set -eu
cd "$(dirname "$0")/.."
scripts/deps.sh build demo
scripts/build.sh release lbd lbctl

demo=build/demo
bin=build/release/bin

# Somebody else who answers there would be taken for ours; 7 is curl's word for nobody.
for port in 8080 8443 9901 9081 9082 9083; do
    code=0
    curl -s -o /dev/null --max-time 2 "http://127.0.0.1:$port/" || code=$?
    if [ "$code" -ne 7 ]; then
        echo "demo: port $port of 127.0.0.1 is in use (by another make run?)" >&2
        exit 1
    fi
done
rm -rf "$demo"
mkdir -p "$demo/state"
chmod 750 "$demo"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 90 -subj "/CN=lbd demo" \
    -addext "subjectAltName=DNS:localhost,IP:127.0.0.1" -keyout "$demo/key.pem" -out "$demo/certificate.pem" \
    2>"$demo/openssl.log" || {
    cat "$demo/openssl.log" >&2
    exit 1
}

# Started by root: the demonstration itself runs as nobody, where the system lets us become nobody.
as_user=
if [ "$(id -u)" -eq 0 ] && setpriv --reuid nobody --regid nogroup --clear-groups true 2>/dev/null; then
    as_user="setpriv --reuid nobody --regid nogroup --clear-groups --inh-caps=-all"
    chown -R nobody:nogroup "$demo"
    if ! $as_user test -x "$bin/lbd" -a -r conf/examples/demo.json; then
        echo "demo: the user nobody may not read this folder: chmod -R go+rX . or start it as an ordinary user" >&2
        exit 1
    fi
fi

pids=
lbd=
stop() {
    trap '' INT TERM
    trap - EXIT
    [ -z "$lbd" ] || kill -INT "$lbd" 2>/dev/null || true
    for pid in $pids; do
        kill "$pid" 2>/dev/null || true
    done
    wait
    echo "demo: ended"
}
trap 'stop; exit "$status"' EXIT
trap 'status=0; exit 0' INT TERM
status=1

port=9081
for name in anna bert cleo; do
    # by stdin: a folder such as /root is closed to nobody, and Python opens scripts by their full path
    $as_user /usr/bin/python3 -B - "$name" "$port" <scripts/demo_server.py &
    pids="$pids $!"
    port=$((port + 1))
done

# Waits until a URL answers with 200; a process that ends early has said why.
await() {
    tries=0
    until curl -fs -o "$demo/ready" "$1" 2>/dev/null; do
        tries=$((tries + 1))
        for pid in $lbd $pids; do
            if ! kill -0 "$pid" 2>/dev/null; then
                echo "demo: a process ended early (is 8080, 8443, 9901 or 9081-9083 in use?)" >&2
                exit 1
            fi
        done
        if [ "$tries" -gt 100 ]; then
            echo "demo: $1 does not answer after 10 s" >&2
            exit 1
        fi
        sleep 0.1
    done
}
for port in 9081 9082 9083; do
    await "http://127.0.0.1:$port/health"
done

$as_user "$bin/lbd" -c conf/examples/demo.json &
lbd=$!
await http://127.0.0.1:9901/readyz
await http://127.0.0.1:8080/ # the first checks have passed

cat <<END

lbd listens on http://127.0.0.1:8080 and https://localhost:8443 in front of anna, bert and cleo. In another terminal, in this
folder, try:

  curl http://127.0.0.1:8080/                                      # again and again: they take turns
  curl --http2 --cacert $demo/certificate.pem https://localhost:8443/  # the same by TLS and HTTP/2
  $bin/lbctl --socket $demo/api.sock status
  $bin/lbctl --socket $demo/api.sock drain demo/bert    # then curl again; enable demo/bert undoes it
  curl --unix-socket $demo/api.sock -X PATCH -H 'Content-Type: application/merge-patch+json' \\
       -d '{"weight": 300}' http://lbd/v1/pools/demo/servers/anna  # three times the share, live
  curl -s http://127.0.0.1:9901/metrics | grep lbd_                # what Prometheus would see

Ctrl-C ends it.
END

# Returns when lbd ends by itself, or when a signal comes.
code=0
wait "$lbd" || code=$?
echo "demo: lbd ended with $code"
status=$code
exit "$code"
