//! The examples of `net`, run as a newcomer would: hyper answers curl over a TUN, and through the tunnel, which is a second one; clients
//! by the thousand are echoed.
//! Owns: the network namespace, which `unshare` makes and which goes with the processes in it.

use crate::shell;
use crate::tally::Tally;

/// Clients of the echo server here; the million is for whoever has the time.
const CLIENTS: &str = "2000";

/// Starts hyper's server, asks it until it answers, and ends it; fails if it never does. With the tunnel as second program it is asked from an
/// address whose packets go into that, which forwards them: so it is not that address that hyper greets.
const ASK: &str = r#"
ip link set lo up
"$1" & running=$!
trap 'kill $running' EXIT
from=
if [ -n "${2:-}" ]; then
    "$2" & running="$running $!"
    for _ in $(seq 100); do
        ip route replace default dev tunnel0 table 100 2>/dev/null && break
        sleep 0.1
    done
    ip rule add from 10.78.0.1 lookup 100
    from="--interface 10.78.0.1"
fi
for _ in $(seq 100); do
    answer=$(curl --silent --max-time 5 $from http://10.7.0.2/where) && break
    sleep 0.1
done
echo "$answer"
[ "$answer" = "${answer#hello 10.7.0.1:}" ] && exit 1
[ "$answer" != "${answer%, you asked for /where}" ]
"#;

/// Runs them. Needs root for the TUN.
pub(crate) fn run() -> Result<Tally, String> {
    if shell::output(&["curl", "--version"]).is_err() {
        shell::run(&["apt-get", "update", "-q"])?;
        shell::run(&["apt-get", "install", "-y", "-q", "--no-install-recommends", "curl"])?;
    }
    let [http, tunnel, million] =
        ["http", "tunnel", "million"].map(|name| shell::built(&format!("examples/{name}")));
    let mut tally = Tally::default();
    tally.step("hyper answers curl", &["unshare", "--net", "sh", "-c", ASK, "sh", &http]);
    tally.step(
        "hyper answers curl through the tunnel",
        &["unshare", "--net", "sh", "-c", ASK, "sh", &http, &tunnel],
    );
    tally.step("thousands are echoed", &[&million, CLIENTS]);
    Ok(tally)
}
