//! Paths that lead somewhere else, and files that are none.

use std::{
    fs::{self, File},
    os::unix::fs::symlink,
    process::Command,
    sync::mpsc,
    thread,
    time::Duration,
};

use super::*;

/// A package with a topology, and beside it what is none of its business.
fn package() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |path: &str| folder.path().join(path);
    fs::create_dir_all(at("package/src/inside")).expect("folders");
    fs::create_dir(at("secret")).expect("a folder");
    for file in [
        "package/m.ron",
        "package/src/m.ron",
        "package/src/inside/m.ron",
        "secret/m.ron",
    ] {
        fs::write(at(file), "(stages: {})").expect("a file");
    }
    folder
}

/// Reads `path` from a source file in `package/src`; what is told is without the folder's own name. None waits for somebody who
/// writes, nor for the end of what has none.
fn told(folder: &tempfile::TempDir, path: &str) -> String {
    let root = folder.path().join("package");
    let (done, read) = mpsc::channel();
    let (within, asked) = (root.clone(), path.to_owned());
    #[expect(
        clippy::disallowed_methods,
        reason = "a scope would wait for a read that hangs"
    )]
    thread::spawn(move || done.send(read_in(&asked, Some(&within), Some(&within.join("src")))));
    let read = read.recv_timeout(Duration::from_secs(60));
    match read.unwrap_or_else(|_| panic!("`{path}` is not read to its end")) {
        Ok(source) => source.text,
        Err(why) => why.replace(&format!("{}/", root.display()), ""),
    }
}

#[test]
fn a_file_of_the_package_is_read() {
    let folder = package();
    symlink("m.ron", folder.path().join("package/src/link.ron")).expect("a link");
    for path in [
        "m.ron",
        "inside/m.ron",
        "../m.ron",
        "./m.ron",
        "/m.ron",
        "/src/m.ron",
        "link.ron",
    ] {
        assert_eq!(told(&folder, path), "(stages: {})", "{path}");
    }
}

#[test]
fn a_source_file_outside_of_the_package_names_files_below_its_own_folder() {
    let folder = package();
    let (root, beside) = (folder.path().join("package"), folder.path().join("secret"));
    assert!(read_in("m.ron", Some(&root), Some(&beside)).is_ok());
    assert!(read_in("m.ron", None, Some(&beside)).is_ok());
    assert!(read_in("src/../../package/m.ron", None, Some(&beside)).is_err());
}

#[test]
fn what_leads_out_of_the_package_is_not_read() {
    let folder = package();
    let at = |path: &str| folder.path().join(path);
    symlink(at("secret/m.ron"), at("package/src/out.ron")).expect("a link");
    symlink(at("secret"), at("package/src/out")).expect("a link");
    symlink("/proc/self/environ", at("package/src/environ.ron")).expect("a link");
    symlink("/dev/zero", at("package/src/zero.ron")).expect("a link");
    let absolute = format!("/{}", at("secret/m.ron").display());
    for path in [
        "../../secret/m.ron",
        "inside/../../../secret/m.ron",
        "/../secret/m.ron",
        &absolute,
        "//etc/passwd",
        "../../../../../../../../../../../../etc/passwd",
        "out.ron",
        "out/m.ron",
        "environ.ron",
        "zero.ron",
    ] {
        let why = told(&folder, path);
        assert!(
            why.ends_with("is neither in this package nor below the folder of this source file"),
            "{path}: {why}"
        );
    }
}

#[test]
fn what_is_no_file_of_text_is_not_read() {
    let folder = package();
    let src = folder.path().join("package/src");
    let made = Command::new("mkfifo").arg(src.join("pipe.ron")).status();
    assert!(made.expect("mkfifo").success());
    fs::write(src.join("bytes.ron"), b"(\n  \xff)").expect("a file");
    let large = File::create(src.join("large.ron")).expect("a file");
    large.set_len(64 << 20).expect("a hole");
    symlink("circle.ron", src.join("circle.ron")).expect("a link");
    #[rustfmt::skip]
    let cases = [
        ("nowhere.ron", "cannot read `src/nowhere.ron`: there is no such file"),
        ("", "cannot read `src/`: it is a folder"),
        ("inside", "cannot read `src/inside`: it is a folder"),
        ("pipe.ron", "cannot read `src/pipe.ron`: it is no regular file, but a pipe, a device or a socket"),
        ("bytes.ron", "cannot read `src/bytes.ron`: it is not UTF-8 text at line 2, column 3"),
        ("large.ron", "cannot read `src/large.ron`: it has 67108864 bytes, and at most 1 MiB are read"),
        ("m.ron/x", "cannot read `src/m.ron/x`: Not a directory (os error 20)"),
        ("circle.ron", "cannot read `src/circle.ron`: Too many levels of symbolic links (os error 40)"),
        ("m\0.ron", "cannot read `src/m\0.ron`: file name contained an unexpected NUL byte"),
    ];
    for (path, expect) in cases {
        assert_eq!(told(&folder, path), expect, "{path}");
    }
    let long = "x".repeat(5_000);
    assert!(told(&folder, &long).contains("File name too long"));
}
