# shellcheck shell=bash
# nginx, which reads files in a pool of threads, and requests of curl side by side.
# SPDX-License-Identifier: GPL-2.0-or-later
seq 1 50000 >numbers
cat >nginx.conf <<CONF
daemon off; master_process off; pid $PWD/pid; error_log $PWD/errors;
events { worker_connections 64; }
http {
    access_log off; aio threads; sendfile off;
    client_body_temp_path $PWD/t1; proxy_temp_path $PWD/t2; fastcgi_temp_path $PWD/t3;
    uwsgi_temp_path $PWD/t4; scgi_temp_path $PWD/t5;
    server { listen unix:$PWD/socket; root $PWD; }
}
CONF
start "$SYSROOT/usr/sbin/nginx" -e "$PWD/errors" -p "$PWD" -c "$PWD/nginx.conf"
await 60 listens socket || exit
urls=()
for n in 1 2 3 4 5 6 7 8; do urls+=(http://here/numbers -o "got.$n"); done
guest curl -sS --fail --parallel --unix-socket "$PWD/socket" "${urls[@]}"
status=$?
for n in 1 2 3 4 5 6 7 8; do cmp numbers "got.$n" || status=1; done
stop && exit $status
