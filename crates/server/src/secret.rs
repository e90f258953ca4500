//! What a data folder keeps for log-ins beside its accounts: the secret that makes up salts for numbers nobody has, and
//! the iteration counts that accounts may have.
//! Invariants: both survive restarts, so that a number nobody has is told the same thing for ever; the files are 0600.
//! Not here: what is made of them (`session`'s decoys).

use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

const SECRET_NAME: &str = "salt-secret";
const ITERATIONS_NAME: &str = "iterations";

/// The folder's secret, drawn now if it has none.
pub(crate) fn salt_secret(data: &Path) -> io::Result<[u8; 32]> {
    let path = data.join(SECRET_NAME);
    match std::fs::read(&path) {
        Ok(bytes) => {
            bytes.try_into().map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "is not 32 octets"))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut secret = [0; 32];
            getrandom::fill(&mut secret).map_err(io::Error::other)?;
            write(&path, &secret)?;
            Ok(secret)
        }
        Err(error) => Err(error),
    }
}

/// Every iteration count that was ever configured here, the present one included.
pub(crate) fn iterations(data: &Path, present: u32) -> io::Result<Vec<u32>> {
    let path = data.join(ITERATIONS_NAME);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error),
    };
    let mut counts: Vec<u32> = text.lines().filter_map(|line| line.parse().ok()).collect();
    if !counts.contains(&present) {
        counts.push(present);
        let text: String = counts.iter().map(|count| format!("{count}\n")).collect();
        write(&path, text.as_bytes())?;
    }
    Ok(counts)
}

/// Accounts came from elsewhere, whose keys were made with these counts: one more that numbers which nobody has may show.
///
/// # Errors
/// When the folder's list cannot be written.
pub fn remember_iterations(data: &Path, counts: &[u32]) -> io::Result<()> {
    counts.iter().try_for_each(|count| iterations(data, *count).map(drop))
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file =
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&beside, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_stay() {
        let folder = std::env::temp_dir().join(format!("switchboard-secret-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let first = salt_secret(&folder).unwrap();
        assert_ne!(first, [0; 32]);
        assert_eq!(salt_secret(&folder).unwrap(), first);
        assert_eq!(iterations(&folder, 10_000).unwrap(), [10_000]);
        assert_eq!(iterations(&folder, 20_000).unwrap(), [10_000, 20_000]);
        assert_eq!(iterations(&folder, 10_000).unwrap(), [10_000, 20_000]);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
