#!/usr/bin/env bash
# Installs and builds everything keyvol needs. May be repeated: what is done already is skipped.
set -euo pipefail
cd "$(dirname "$0")/.."

trap 'exit 130' INT # or a Ctrl-C at npm would look like one of its failures

say() { echo "setup: $*"; }
die() { echo "setup: error: $*" >&2; exit 1; }

check_node() {
  command -v node >/dev/null || die 'node is missing; keyvol needs Node 20 or newer with npm'
  local major
  major=$(node -p 'process.versions.node.split(".")[0]')
  [ "$major" -ge 20 ] || die "node $(node --version) is too old; keyvol needs Node 20 or newer"
}

missing_debian_packages() {
  local package
  sed -e 's/#.*//' scripts/debian-packages.txt | while read -r package; do
    [ -n "$package" ] || continue
    # shellcheck disable=SC2016 # dpkg-query expands it, not the shell
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
      echo "$package"
  done
}

install_debian_packages() {
  command -v dpkg-query >/dev/null ||
    die 'this is not Debian; install the equivalents of scripts/debian-packages.txt by hand'
  local missing
  missing=$(missing_debian_packages | xargs)
  [ -n "$missing" ] || return 0
  if [ "$(id -u)" -ne 0 ]; then
    die "Debian packages are missing and only root can install them; run:
  sudo apt-get update && sudo apt-get install --yes --no-install-recommends $missing"
  fi
  say "installing Debian packages: $missing"
  export DEBIAN_FRONTEND=noninteractive
  apt-get -o Acquire::Retries=3 update -q
  # shellcheck disable=SC2086 # one word a package
  apt-get -o Acquire::Retries=3 install -q --yes --no-install-recommends $missing
}

# The addon and better-sqlite3 are built against the headers that came with this very Node;
# otherwise node-gyp would download them, which fails on a machine that reaches no nodejs.org.
export_node_headers() {
  local prefix
  prefix=$(node -p 'require("node:path").resolve(process.execPath, "../..")')
  if [ -e "$prefix/include/node/node.h" ]; then
    export npm_config_nodedir="$prefix"
  else
    say "note: $prefix has no include/node/node.h; node-gyp will download Node's headers"
  fi
}

# What node_modules was made from: the lock file, and the binary interface of Node.
modules_stamp() {
  echo "$(sha256sum <package-lock.json | cut -d' ' -f1) abi $(node -p process.versions.modules)"
}

install_npm_packages() {
  local stamp_file=node_modules/.keyvol-setup
  if [ -L node_modules ]; then
    say 'node_modules is a link; using it as it is'
    return 0
  fi
  if [ "$(cat "$stamp_file" 2>/dev/null)" = "$(modules_stamp)" ]; then return 0; fi
  say 'installing npm packages (better-sqlite3 is built from source: about 80 s)'
  # A registry that stalls is asked again after a minute, not after npm's five.
  export npm_config_fetch_timeout=60000 npm_config_fetch_retries=4
  local try
  for try in 1 2 3; do
    npm ci --no-audit --no-fund && break
    [ "$try" -lt 3 ] || die 'npm ci failed three times; see its messages above, and its debug log'
    say 'npm ci failed; trying again'
    sleep 5
  done
  [ -e node_modules/better-sqlite3/build/Release/better_sqlite3.node ] ||
    die 'npm did not build better-sqlite3; see the messages of npm above'
  [ -d node_modules/fuse-native ] ||
    say 'note: fuse-native did not install; --fuse-driver portable will not be there'
  modules_stamp >"$stamp_file"
}

fetch_guest_files() {
  bash scripts/guest-files.sh ||
    say 'note: no Linux for a virtual machine could be fetched; the test that boots one is skipped'
}

check_node
[ -w . ] || die "$(id -un) cannot write to $PWD; run this as its owner, or clone it afresh"
install_debian_packages
export_node_headers
install_npm_packages
fetch_guest_files
say 'building'
npm run --silent build
say 'ready'
