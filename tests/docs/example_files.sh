#!/bin/sh
# example_files.sh FOLDER CONFIG ... - makes the files that examples name: certificates, keys, CRLs, secrets.
#
# One certificate that signed itself and its key, kept in FOLDER, stand for all of them. What is there already
# stays; says which it made. Relative paths are seen from here.
set -eu
folder=$1
shift
if [ ! -e "$folder/crl.pem" ]; then
    mkdir -p "$folder"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=lb.example.com \
        -keyout "$folder/key.pem" -out "$folder/certificate.pem" 2>"$folder/said" || { cat "$folder/said"; exit 1; }
    : >"$folder/index"
    printf '[ca]\ndefault_ca=d\n[d]\ndatabase=%s\ndefault_md=sha256\n' "$folder/index" >"$folder/conf"
    openssl ca -config "$folder/conf" -gencrl -crldays 1 -cert "$folder/certificate.pem" \
        -keyfile "$folder/key.pem" -out "$folder/crl.pem" 2>"$folder/said" || { cat "$folder/said"; exit 1; }
    head -c 32 /dev/urandom >"$folder/secret"
    printf 'ann:%s\n' "$(openssl passwd -6 secret)" >"$folder/users"
    printf '{"keys":[{"kty":"oct","kid":"a","alg":"HS256","k":"%s"}]}\n' \
        "$(head -c 32 "$folder/secret" | base64 | tr '+/' '-_' | tr -d '=\n')" >"$folder/jwks.json"
    chmod 600 "$folder/key.pem" "$folder/secret" "$folder/users" "$folder/jwks.json"
fi
grep -oh '"[a-z_]*file": *"[^"]*"' "$@" | sed 's/^"\([a-z_]*\)": *"\(.*\)"$/\1 \2/' | sort -u |
    while read -r key path; do
        case $key in
        key_file) from=key.pem ;;
        crl_file) from=crl.pem ;;
        ticket_keys_file) from=secret ;;
        users_file) from=users ;;
        keys_file) from=jwks.json ;;
        chain_file | file | ca_file | client_ca_file | body_file) from=certificate.pem ;;
        *) continue ;;
        esac
        [ ! -e "$path" ] || continue
        mkdir -p "$(dirname "$path")"
        cp -p "$folder/$from" "$path"
        echo "$path"
    done
