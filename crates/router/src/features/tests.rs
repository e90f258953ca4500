//! The list of features and the files beside it: each is in the other.

use std::collections::BTreeSet;
use std::path::Path;

#[test]
fn every_file_is_on_the_list_once() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/features");
    let files =
        std::fs::read_dir(folder).expect("the folder is there").map(|entry| entry.expect("readable").path());
    let files: BTreeSet<String> = files
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned()))
        .filter(|name| name != "tests")
        .collect();
    let list: BTreeSet<String> = super::NAMES.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(list.len(), super::NAMES.len());
    assert_eq!(files, list);
}

#[test]
fn what_is_told_of_is_sorted_and_said_once() {
    for all in [super::server_features(), super::account_features()] {
        assert!(all.is_sorted_by(|a, b| a < b), "{all:?}");
    }
}

/// A feature is told apart by its namespace, so no two may claim the same query.
#[test]
fn no_two_features_tell_of_the_same() {
    for all in [super::SERVER, super::ACCOUNT] {
        let said: Vec<&str> = all.concat();
        let once: BTreeSet<&str> = said.iter().copied().collect();
        assert_eq!(said.len(), once.len());
    }
}
