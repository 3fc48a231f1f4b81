//! Files that are whole: what lies in their place is what was there before, or all of the new.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::Path,
};

/// Writes a file beside `path` and renames it. The folder is made if it is not there.
///
/// # Errors
///
/// If it cannot be written: then nothing is left of it.
pub fn replace(path: &Path, write: impl FnOnce(&mut fs::File) -> io::Result<()>) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    fs::create_dir_all(folder)?;
    // Who may read it is what the umask says, as for every other file.
    let everybody = fs::Permissions::from_mode(0o666);
    let mut file = tempfile::Builder::new()
        .permissions(everybody)
        .tempfile_in(folder)?;
    write(file.as_file_mut())?;
    file.as_file_mut().flush()?;
    file.as_file().sync_all()?;
    file.persist(path).map(|_| ()).map_err(|error| error.error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_is_full_leaves_what_was_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("new/run.json");
        replace(&path, |file| file.write_all(b"whole")).expect("it can be written");
        let error = replace(&path, |file| {
            file.write_all(b"half")?;
            Err(io::ErrorKind::StorageFull.into())
        });
        assert_eq!(
            error.expect_err("the disk is full").kind(),
            io::ErrorKind::StorageFull
        );
        assert_eq!(fs::read(&path).expect("it is whole"), b"whole");
        let folder = path.parent().expect("it is in a folder");
        let files = fs::read_dir(folder).expect("it is there").count();
        assert_eq!(files, 1, "nothing else is left");
    }
}
