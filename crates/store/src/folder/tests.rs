use super::*;
use std::os::unix::fs::PermissionsExt;

#[test]
fn a_new_folder_is_for_its_owner_only() {
    let outside = tempfile::tempdir().unwrap();
    let folder = Folder::open(outside.path().join("a/b")).unwrap();
    let mode = std::fs::metadata(folder.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn a_folder_that_others_could_read_is_closed_to_them() {
    let outside = tempfile::tempdir().unwrap();
    std::fs::set_permissions(outside.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let folder = Folder::open(outside.path()).unwrap();
    let mode = std::fs::metadata(folder.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn a_shared_folder_with_other_things_in_it_is_left_alone() {
    let outside = tempfile::tempdir().unwrap();
    std::fs::set_permissions(outside.path(), PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::write(outside.path().join("letters.txt"), "dear").unwrap();
    assert!(matches!(Folder::open(outside.path()), Err(FolderError::Shared { .. })));
    let mode = std::fs::metadata(outside.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o755);
}

#[test]
fn the_second_holder_is_told_who_the_first_is() {
    let outside = tempfile::tempdir().unwrap();
    let first = Folder::open(outside.path()).unwrap();
    let refused = Folder::open(outside.path()).unwrap_err();
    assert!(matches!(refused, FolderError::Held { pid: Some(pid), .. } if pid == std::process::id()));
    assert!(refused.to_string().contains(&std::process::id().to_string()));
    drop(first);
    Folder::open(outside.path()).unwrap();
}

#[test]
fn a_path_that_is_a_file_is_an_error_that_names_it() {
    let outside = tempfile::tempdir().unwrap();
    let path = outside.path().join("file");
    std::fs::write(&path, "x").unwrap();
    let refused = Folder::open(&path).unwrap_err();
    assert!(refused.to_string().starts_with(&path.display().to_string()), "{refused}");
}
