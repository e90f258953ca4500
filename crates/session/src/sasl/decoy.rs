//! Decoys: the keys that a name which does not exist is told, so that nobody learns which numbers do.
//!
//! Spec: RFC 5802 section 9 (the server may be probed for names).
//! Invariants: the same name gets the same salt and count for as long as the secret and the set of counts in use are the
//! same. When that set changes, some names get another count and another salt together: what a new password looks like.
//! Not here: the time an answer takes (the same code runs for both).

use store::{Credentials, ScramKeys};

use crate::config::SessionConfig;
use crate::sasl::LogInName;
use crate::sasl::keys::{SALT_LEN, hmac_sha256};

/// Keys for a name; no password matches them.
#[must_use]
pub fn credentials(config: &SessionConfig, name: &LogInName) -> Credentials {
    let secret = &config.salt_secret;
    let name = name.as_str().as_bytes();
    // Each count draws a ticket with the name; the highest wins. A count that joins takes its share of the names and
    // leaves the others where they were.
    let ticket = |count: u32| hmac_sha256(secret, &[b"count", &count.to_be_bytes(), name]);
    let iterations = config.iterations_in_use.iter().copied().max_by_key(|count| ticket(*count));
    let iterations = iterations.unwrap_or(4096);
    let salt = hmac_sha256(secret, &[b"salt", &iterations.to_be_bytes(), name])[..SALT_LEN].to_vec();
    let key = hmac_sha256(secret, &[b"key", name]);
    let mut short = [0; 20];
    short.copy_from_slice(&key[..20]);
    Credentials {
        sha1: Some(ScramKeys { salt: salt.clone(), iterations, stored_key: short, server_key: short }),
        sha256: Some(ScramKeys { salt, iterations, stored_key: key, server_key: key }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(counts: &[u32]) -> SessionConfig {
        let mut config = SessionConfig::new("localhost", [7; 32]);
        config.iterations_in_use = counts.to_vec();
        config
    }

    #[test]
    fn a_name_is_told_the_same_each_time_and_names_are_told_different_salts() {
        let config = config(&[4096, 10_000]);
        let tell = |name: &str| credentials(&config, &LogInName::new(name)).sha256.unwrap();
        assert_eq!(tell("12345"), tell("12345"));
        assert_ne!(tell("12345").salt, tell("12346").salt);
        assert_eq!(tell("no number at all").salt.len(), SALT_LEN);
    }

    #[test]
    fn both_mechanisms_of_a_name_are_told_one_salt_as_a_real_account_is() {
        let keys = credentials(&config(&[4096]), &LogInName::new("10001"));
        assert_eq!(keys.sha1.unwrap().salt, keys.sha256.unwrap().salt);
    }

    #[test]
    fn a_new_count_moves_some_names_and_leaves_the_others_untouched() {
        let (before, after) = (config(&[10_000]), config(&[10_000, 20_000]));
        let (mut moved, mut stayed) = (0, 0);
        for number in 10_001..11_001 {
            let name = LogInName::new(&number.to_string());
            let (old, new) = (credentials(&before, &name), credentials(&after, &name));
            let (old, new) = (old.sha256.unwrap(), new.sha256.unwrap());
            if old.iterations == new.iterations {
                assert_eq!(old.salt, new.salt);
                stayed += 1;
            } else {
                assert_ne!(old.salt, new.salt, "a new password brings a new salt");
                moved += 1;
            }
        }
        assert!(moved > 400 && stayed > 400, "{moved} moved, {stayed} stayed");
    }
}
