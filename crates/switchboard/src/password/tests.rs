use super::*;

#[test]
fn a_file_gives_its_first_line() {
    for (text, expected) in [
        ("secret\n", "secret"),
        ("secret", "secret"),
        ("secret\r\nmore\n", "secret"),
        (" with spaces \n", " with spaces "),
        ("", ""),
        ("\nsecret", ""),
    ] {
        assert_eq!(first_line(text.as_bytes()).unwrap(), expected, "{text:?}");
    }
}

#[test]
fn a_made_password_is_long_and_never_the_same() {
    let (one, other) = (make(), make());
    assert_ne!(one, other);
    assert_eq!(one.len(), MADE_LEN);
    assert!(one.bytes().all(|byte| ALPHABET.contains(&byte)));
    let mut letters = ALPHABET.to_vec();
    letters.sort_unstable();
    letters.dedup();
    assert_eq!(letters.len(), 32);
}

#[test]
fn no_password_is_empty() {
    assert!(checked(String::new()).is_err());
}
