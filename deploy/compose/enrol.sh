#!/bin/sh
# Adds the nodes of compose.yaml to its network and keeps their credentials in secrets/, which compose mounts
# as files. Run it once: first for the admin token, and again when the control planes serve.
set -eu
cd "$(dirname "$0")"
umask 077
mkdir -p secrets
[ -s secrets/admin-token ] || head -c 32 /dev/urandom | base64 | tr -d '=+/\n' > secrets/admin-token

nodes='
router-1            router    http://router-1:8084            frankfurt 50.11  8.68
router-2            router    http://router-2:8084            london    51.51 -0.13
mid-tier-frankfurt  mid-tier  http://mid-tier-frankfurt:8081  frankfurt 50.11  8.68
mid-tier-london     mid-tier  http://mid-tier-london:8081     london    51.51 -0.13
edge-oslo           edge      http://edge-oslo:8080           oslo      59.91 10.75
edge-rome           edge      http://edge-rome:8080           rome      41.90 12.50
edge-lisbon         edge      http://edge-lisbon:8080         lisbon    38.72 -9.14
origin              origin    http://origin:8082              frankfurt 50.11  8.68
'
echo "$nodes" | while read -r name tier url city latitude longitude; do
  [ -n "$name" ] || continue
  # Compose wants the file to be there before the node is known.
  [ -e "secrets/$name" ] || : > "secrets/$name"
  [ "${1:-}" = --nodes ] && [ ! -s "secrets/$name" ] || continue
  curl -sS --fail-with-body -X PUT "${CANOPY_CONTROL_PLANE:-http://127.0.0.1:8083}/v1/nodes/$name" \
    -H "Authorization: Bearer $(cat secrets/admin-token)" -H 'Content-Type: application/json' \
    -d "{\"name\":\"$name\",\"tier\":\"$tier\",\"url\":\"$url\",\"location\":{\"name\":\"$city\",\"latitude\":$latitude,\"longitude\":$longitude}}" |
    sed -n 's/.*"credential":"\([^"]*\)".*/\1/p' > "secrets/$name"
  echo "$name"
done
# The user of the image reads them, and nobody else.
[ "$(id -u)" = 0 ] && chown -R 65532 secrets || true
