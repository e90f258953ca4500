#!/bin/sh
# Cargo's RUSTC_WRAPPER for `cargo xtask fuzz`: our own crates report the edges that a run takes, what they depend on is built as ever.
case ${CARGO_PKG_NAME:-} in
switchboard-*) exec "$@" $SWITCHBOARD_FUZZ_FLAGS ;;
*) exec "$@" ;;
esac
