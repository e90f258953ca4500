//! The examples of `net`, run as a newcomer would: hyper answers curl over a TUN.
//! Owns: the network namespace, which `unshare` makes and which goes with the processes in it.

use crate::shell;
use crate::tally::Tally;

/// Starts hyper's server, asks it until it answers, and ends it; fails if it never does.
const ASK: &str = r#"
ip link set lo up
"$1" & server=$!
trap 'kill $server' EXIT
for _ in $(seq 100); do
    answer=$(curl --silent --max-time 5 http://10.7.0.2/where) && break
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
    let http = shell::built("examples/http");
    let mut tally = Tally::default();
    tally.step("hyper answers curl", &["unshare", "--net", "sh", "-c", ASK, "sh", &http]);
    Ok(tally)
}
