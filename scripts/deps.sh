#!/bin/sh
# deps.sh - installs the Debian packages that are missing.
#
#   scripts/deps.sh GROUP ...      groups: build test package bench format demo
#
# Costs one dpkg-query when nothing is missing. Needs root or sudo only when
# something is. A package that would start a daemon (nginx, haproxy, dovecot)
# must not: we only run their programs.
set -eu

build="cmake ninja-build gcc libc6-dev pkg-config git ca-certificates
       libevent-dev libcjson-dev libmicrohttpd-dev libc-ares-dev libpcre2-dev libssl-dev zlib1g-dev libnghttp2-dev check
       libbrotli-dev libzstd-dev python3-minimal"
test="clang libclang-rt-14-dev python3 curl prometheus mandoc procps openssl binutils strace
      python3-jsonschema nodejs npm jq tmux bash zsh python3-hpack
      python3-brotli python3-zstandard
      dnsmasq-base nghttp2-client nghttp2-server nginx-light libnginx-mod-mail haproxy chromium testssl.sh
      dovecot-imapd dovecot-pop3d dovecot-lmtpd dovecot-managesieved dovecot-submissiond postfix
      swaks isync offlineimap3 getmail6 fetchmail msmtp mutt sieve-connect"
package="dpkg-dev file binutils lintian systemd logrotate init-system-helpers"
bench="nginx-light libnginx-mod-stream libnginx-mod-mail haproxy dovecot-imapd
       openssl strace util-linux procps python3"
format="clang-format"
demo="python3 curl openssl util-linux"

wanted=
for group in "$@"; do
    case $group in
    build) wanted="$wanted $build" ;;
    test) wanted="$wanted $test" ;;
    package) wanted="$wanted $package" ;;
    bench) wanted="$wanted $bench" ;;
    format) wanted="$wanted $format" ;;
    demo) wanted="$wanted $demo" ;;
    *)
        echo "deps.sh: no group '$group' (build, test, package, bench, format, demo)" >&2
        exit 2
        ;;
    esac
done

# Names what of its arguments is not installed.
missing() {
    # shellcheck disable=SC2086
    have=" $(dpkg-query -W -f '${db:Status-Abbrev}${Package}\n' $* 2>/dev/null |
        sed -n 's/^ii *//p' | tr '\n' ' ') "
    nginx=$(PATH="$PATH:/usr/sbin" command -v nginx || true)
    for package in $*; do
        case $package in
        # any flavour of nginx will do
        # nodejs of another origin brings its own npm, and Debian's does not go with it
        nodejs) command -v node >/dev/null 2>&1 && continue ;;
        npm) command -v npm >/dev/null 2>&1 && continue ;;
        nginx-light) [ -n "$nginx" ] && continue ;;
        # a machine has one mail server; the tests that need Postfix are skipped where it is another
        postfix) [ -x /usr/sbin/sendmail ] && continue ;;
        # only Debian's nginx has TCP and mail in packages of their own
        libnginx-mod-stream) [ -n "$nginx" ] && ! "$nginx" -V 2>&1 | grep -q with-stream=dynamic && continue ;;
        libnginx-mod-mail) [ -n "$nginx" ] && ! "$nginx" -V 2>&1 | grep -q with-mail=dynamic && continue ;;
        esac
        case $have in
        *" $package "*) ;;
        *) printf '%s ' "$package" ;;
        esac
    done
}

# shellcheck disable=SC2086
lacking=$(missing $wanted)
[ -n "$lacking" ] || exit 0
echo "installing: $lacking"

as_root=
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null 2>&1; then
        echo "deps.sh: needs root or sudo for: apt-get install $lacking" >&2
        exit 1
    fi
    as_root=sudo
fi

# A policy of "start nothing" for the length of the install; what was there comes back.
policy=/usr/sbin/policy-rc.d
kept=
if [ -e "$policy" ]; then
    kept=$(mktemp)
    cp -p "$policy" "$kept"
fi
restore() {
    if [ -n "$kept" ]; then
        $as_root cp -p "$kept" "$policy"
        rm -f "$kept"
    else
        $as_root rm -f "$policy"
    fi
}
trap restore EXIT
trap 'exit 130' INT TERM
printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
$as_root chmod 755 "$policy"

# shellcheck disable=SC2086
install() {
    $as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -q --no-install-recommends "$@"
}

log=$(mktemp)
# shellcheck disable=SC2086
if ! install $lacking >"$log" 2>&1; then
    $as_root apt-get update -q >>"$log" 2>&1 || true
    if ! install $lacking >>"$log" 2>&1; then
        tail -n 30 "$log" >&2
        rm -f "$log"
        exit 1
    fi
fi
rm -f "$log"
