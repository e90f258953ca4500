//! `switchboard export`: every account, in the format in which servers hand them to each other.
//!
//! Invariants: what is written shows one moment; a file appears whole or not at all, for its owner's eyes.
//! Not here: the format (`portable`).

use std::io::{self, Write};
use std::path::Path;

use portable::{Counts, ExportError};
use store::{Sqlite, WholeFile};

use crate::args::Export;
use crate::data::{self, Data};
use crate::failure::Failure;
use crate::progress::Progress;

pub(crate) fn run(args: &Export) -> Result<(), Failure> {
    let folder = &args.data.data;
    let mut store = match data::open(folder, false)? {
        // It goes on writing; we see the moment at which we begin.
        Data::Running(_) => Sqlite::look(folder).map_err(Failure::failed)?,
        Data::Ours(store) => *store,
    };
    let domain = match store.domain().map_err(Failure::failed)? {
        Some(domain) => domain,
        None => super::serve::folder_config(folder)?.unwrap_or_default().domain,
    };
    let Some(file) = &args.file else {
        return write(&mut store, &domain, &mut io::stdout().lock(), Path::new("standard output"));
    };
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => Failure::failed(format!(
            "{} is there already, and nothing is overwritten: name another file",
            file.display()
        )),
        _ => Failure::failed(format!("{}: {error}", file.display())),
    };
    let (whole, mut part) = WholeFile::create(file).map_err(failed)?;
    write(&mut store, &domain, &mut part, file)?;
    whole.settle().map_err(failed)
}

fn write(store: &mut Sqlite, domain: &str, out: &mut dyn Write, name: &Path) -> Result<(), Failure> {
    let mut progress = Progress::new();
    let done = store.together(data::now(), |ask| {
        portable::export(ask, domain, out, &mut |counts: Counts| progress.tell(|| format!("{counts} so far")))
    });
    progress.clear();
    done.map(drop).map_err(|error| match error {
        ExportError::Io(error) => Failure::failed(format!("{}: {error}", name.display())),
        error => Failure::failed(error),
    })
}
