//! The path of a Unix socket: what is in the way when it is listened at, and what is removed afterwards.
//!
//! Only sockets are ever removed: one that nobody listens at any more before, and the one that was made here afterwards.

use std::{
    fs::{self, FileType},
    io,
    os::unix::fs::FileTypeExt,
    path::{Path, PathBuf},
};

use tokio::net::{UnixListener, UnixStream};

use super::EntranceError;
use crate::files::Identity;

/// A path that is listened at; dropping it removes the socket, unless something else has its place.
#[derive(Debug)]
pub(super) struct Bound {
    path: PathBuf,
    identity: Identity,
}

impl Bound {
    /// Listens at a path. A socket that nobody listens at any more is removed first.
    pub(super) async fn listen(path: &Path) -> Result<(UnixListener, Self), EntranceError> {
        let failed = |error| EntranceError::Bind(path.display().to_string(), error);
        clear(path).await?;
        let listener = UnixListener::bind(path).map_err(failed)?;
        let bound = Self {
            path: path.to_owned(),
            identity: identity(path).map_err(failed)?,
        };
        Ok((listener, bound))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|found| found == self.identity) {
            drop(fs::remove_file(&self.path));
        }
    }
}

/// Removes a socket that refuses clients. Files refuse them as well, so it is looked at what it is.
async fn clear(path: &Path) -> Result<(), EntranceError> {
    let Ok(found) = path.symlink_metadata() else {
        return Ok(());
    };
    if !found.file_type().is_socket() {
        let what = name_of(found.file_type());
        return Err(EntranceError::Occupied(path.to_owned(), what));
    }
    // It does not wait for a listener that does not accept.
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path)
            .map_err(|error| EntranceError::Bind(path.display().to_string(), error)),
        _ => Ok(()),
    }
}

fn name_of(kind: FileType) -> &'static str {
    match kind {
        kind if kind.is_file() => "a file",
        kind if kind.is_dir() => "a directory",
        kind if kind.is_symlink() => "a symbolic link",
        _ => "something that is no socket",
    }
}

fn identity(path: &Path) -> io::Result<Identity> {
    Ok(Identity::of(&path.symlink_metadata()?))
}

#[cfg(test)]
mod tests {
    use std::os::unix::{fs::symlink, net};

    use super::*;

    fn listen(path: &Path) -> Result<(UnixListener, Bound), EntranceError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()
            .expect("a runtime");
        runtime.block_on(Bound::listen(path))
    }

    #[test]
    fn what_is_no_socket_is_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        fs::write(at("file"), "precious").expect("writes");
        fs::create_dir(at("directory")).expect("makes");
        drop(net::UnixListener::bind(at("left")).expect("binds"));
        symlink(at("left"), at("link")).expect("links");
        let check = |name: &str, expect: &str| {
            let error = listen(&at(name)).expect_err(name).to_string();
            assert!(
                error.contains(expect) && error.contains("help: "),
                "{error}"
            );
            assert!(at(name).symlink_metadata().is_ok(), "{name}");
        };
        check("file", "file: it is a file");
        check("directory", "directory: it is a directory");
        check("link", "link: it is a symbolic link");
        assert_eq!(fs::read(at("file")).expect("it is there"), b"precious");
    }

    #[test]
    fn a_socket_is_removed_where_nobody_listens_and_kept_where_somebody_does() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("socket");
        drop(net::UnixListener::bind(&path).expect("binds"));
        let first = listen(&path).expect("nobody listens");
        let Err(EntranceError::Bind(_, error)) = listen(&path) else {
            panic!("somebody listens");
        };
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        drop(first);
        assert!(path.symlink_metadata().is_err(), "it is removed at the end");
    }

    #[test]
    fn what_took_the_place_of_a_socket_is_kept_at_the_end() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("socket");
        let ours = listen(&path).expect("listens");
        fs::rename(&path, folder.path().join("away")).expect("renames");
        let theirs = net::UnixListener::bind(&path).expect("binds");
        drop(ours);
        net::UnixStream::connect(&path).expect("it is still there");
        drop(theirs);
    }
}
