use std::os::unix::fs::PermissionsExt;

use super::*;

/// A folder that goes when the test does.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("switchboard-certs-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_made_certificate_stays_and_its_key_is_private() {
    let folder = Folder::new("made");
    let first = Certs::open(&folder.0, "localhost", &config::Tls::default()).unwrap();
    assert!(first.is_made());
    let mode = std::fs::metadata(folder.0.join(KEY_NAME)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let again = Certs::open(&folder.0, "localhost", &config::Tls::default()).unwrap();
    assert_eq!(first.fingerprint(), again.fingerprint());
    assert_eq!(first.fingerprint().len(), 32 * 3 - 1);
    assert_eq!(first.xmpp.max_early_data_size, 0);
}

#[test]
fn a_reload_shows_the_new_certificate_and_a_broken_one_changes_nothing() {
    let folder = Folder::new("reload");
    let other = Folder::new("reload-other");
    let (cert, key) = (folder.0.join("c.pem"), folder.0.join("k.pem"));
    make(&cert, &key, "a.example").unwrap();
    let tls = config::Tls { cert: Some(cert.clone()), key: Some(key.clone()) };
    let certs = Certs::open(&other.0, "a.example", &tls).unwrap();
    assert!(!certs.is_made());
    let before = certs.fingerprint();
    make(&cert, &key, "a.example").unwrap();
    certs.reload().unwrap();
    let after = certs.fingerprint();
    assert_ne!(before, after);

    std::fs::write(&cert, "not a certificate").unwrap();
    assert!(matches!(certs.reload(), Err(CertError::Unfit { path, .. }) if path == cert));
    assert_eq!(certs.fingerprint(), after);
    std::fs::remove_file(&cert).unwrap();
    assert!(matches!(certs.reload(), Err(CertError::Io { path, .. }) if path == cert));
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let folder = Folder::new("mixed");
    let path = |name: &str| folder.0.join(name);
    make(&path("a.pem"), &path("a.key.pem"), "a.example").unwrap();
    make(&path("b.pem"), &path("b.key.pem"), "b.example").unwrap();
    let tls = config::Tls { cert: Some(path("a.pem")), key: Some(path("b.key.pem")) };
    let error = Certs::open(&folder.0, "a.example", &tls).unwrap_err();
    assert!(error.to_string().contains("does not fit"), "{error}");
}
