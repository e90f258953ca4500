//! `switchboard import`: accounts that an export of another server, or of another folder, holds.
//!
//! Invariants: all of it is taken or nothing; what is left out is told, on standard error.
//! Not here: the format (`portable`).

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use portable::Quotas;
use server::Config;
use store::{Folder, FolderError, Sqlite};

use crate::args::Import;
use crate::failure::Failure;
use crate::progress::Progress;
use crate::{data, output};

/// Standard input's name.
const STANDARD_INPUT: &str = "-";

pub(crate) fn run(args: &Import) -> Result<(), Failure> {
    let path = &args.data.data;
    let folder = Folder::open(path).map_err(|error| match error {
        FolderError::Held { .. } => Failure::failed(format!("{error}: stop it, import, and start it again")),
        error => Failure::failed(error),
    })?;
    store::sqlite::unpack(&folder).map_err(Failure::failed)?;
    let config = super::serve::folder_config(path)?.unwrap_or_default();
    let mut settings = config.store();
    // What is older than the exchange keeps goes when the exchange sweeps, and not while it still comes.
    settings.limits.archive_keep = None;
    let mut store = Sqlite::open(Arc::new(folder), None, data::now(), settings).map_err(Failure::failed)?;
    let remembered = store.domain().map_err(Failure::failed)?;
    let domain = match (&args.domain, remembered) {
        (Some(asked), Some(remembered)) if *asked != remembered => {
            return Err(Failure::failed(format!(
                "{} belongs to the domain {remembered}, not {asked}",
                path.display()
            )));
        }
        (asked, remembered) => remembered.or_else(|| asked.clone()),
    };
    // Opened first, so that a name that was mistyped is told before anything is read.
    let documents: Vec<(PathBuf, Box<dyn Read>)> =
        args.files.iter().map(|name| Ok((name.clone(), open(name)?))).collect::<Result<_, Failure>>()?;
    let report = read(&mut store, &config, path, domain, documents)?;
    if let Some(domain) = &report.domain {
        store.remember_domain(domain).map_err(Failure::failed)?;
    }
    server::remember_iterations(path, &report.iterations)
        .map_err(|error| Failure::failed(format!("{}: {error}", path.display())))?;
    for note in &report.notes {
        eprintln!("switchboard: {}", output::tame(note));
    }
    if report.more_notes > 0 {
        eprintln!("switchboard: and {} more remarks", report.more_notes);
    }
    output::line(&report.counts.to_string())
}

fn open(name: &Path) -> Result<Box<dyn Read>, Failure> {
    if name.as_os_str() == STANDARD_INPUT {
        return Ok(Box::new(io::stdin().lock()));
    }
    let file = File::open(name).map_err(|error| Failure::failed(format!("{}: {error}", name.display())))?;
    Ok(Box::new(file))
}

fn read(
    store: &mut Sqlite,
    config: &Config,
    folder: &Path,
    domain: Option<String>,
    documents: Vec<(PathBuf, Box<dyn Read>)>,
) -> Result<portable::Report, Failure> {
    let quotas = Quotas {
        stanza_max: config.limits.stanza_max,
        roster_max: config.limits.roster_max,
        blocked_max: config.limits.blocked_max,
        nodes_max: config.pep.nodes_max,
        items_max: config.pep.items_max,
        published_bytes_max: config.pep.bytes_max,
        card_bytes_max: config.pep.vcard_bytes_max,
        private_max: config.pep.private_max,
        private_bytes_max: config.pep.private_bytes_max,
    };
    let now = data::now();
    let mut progress = Progress::new();
    // Parts of a document lie beside it.
    let beside = std::cell::RefCell::new(None::<PathBuf>);
    let mut documents = documents.into_iter().map(|(name, document)| {
        let is_file = name.as_os_str() != STANDARD_INPUT;
        *beside.borrow_mut() = is_file.then(|| name.parent().unwrap_or(Path::new("")).to_owned());
        (name.display().to_string(), document)
    });
    let done = store.together(now, |ask| {
        let import = portable::Import {
            ask,
            domain,
            now,
            quotas,
            derive: &mut |password| {
                super::account::derive(folder, password).map_err(|failure| failure.to_string())
            },
            include: &mut |href| match &*beside.borrow() {
                Some(beside) => Ok(Box::new(File::open(beside.join(href))?)),
                None => Err(io::Error::other("standard input has nothing beside it: name the file")),
            },
            told: &mut |counts| progress.tell(|| format!("{counts} so far")),
        };
        import.run(&mut documents)
    });
    progress.clear();
    done.map_err(|error| Failure::failed(format!("{error}; nothing was imported")))
}
