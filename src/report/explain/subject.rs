//! What is asked about: what it is, and what else is worth saying of it.

use super::{Asked, Explained, Subject, short, time};
use crate::catalogue::{Disposal, Kind};
use crate::check::facts::{CameBack, What};
use crate::escape::text;
use crate::inventory::Evidence;

impl Explained<'_> {
    pub(super) fn subject(&self) -> Subject {
        let inventory = self.run.inventory;
        let mut subject = Subject::default();
        let store = match &self.asked {
            Asked::Session(at) => Some(inventory.session(*at).store),
            Asked::File(at) => Some(inventory.store_of(inventory.artifact(*at))),
            Asked::Folder { store, .. } | Asked::Unlisted { store, .. } => Some(*store),
            Asked::Outside { .. } => None,
        };
        if let Some(view) = store.map(|store| inventory.store(store)) {
            subject.store = Some(text(&view.store.root));
            subject.store_kind = Some(view.store.kind.word());
        }
        if let Some((_, session)) = self.session() {
            subject.session = Some(session.id.to_string());
            subject.project = session.project.as_deref().map(text);
            subject.projects = session.projects.iter().map(|project| text(&**project)).collect();
            subject.evidence = Some(match session.evidence {
                Evidence::Transcript => "transcript",
                Evidence::Sealed => "sealed",
                Evidence::Orphaned => "orphaned",
                Evidence::Unknown => "unknown",
            });
            subject.desktop = session.is_desktop;
        }
        match &self.asked {
            Asked::Session(at) => {
                let session = inventory.session(*at);
                subject.is = "session";
                subject.unrecognised = session.unrecognised;
                for artifact in inventory.files(session).iter().map(|index| inventory.artifact(*index)) {
                    subject.files += 1;
                    subject.bytes += artifact.stamp.size;
                    subject.sealed |= artifact.sealed;
                    *subject.kinds.entry(artifact.kind.map_or("unrecognised", Kind::name)).or_default() += 1;
                }
            }
            Asked::File(at) => {
                let artifact = inventory.artifact(*at);
                subject.is = "file";
                subject.kind = Some(artifact.kind.map_or("unrecognised", Kind::name));
                subject.path = Some(text(&inventory.full_path(artifact)));
                subject.files = 1;
                subject.bytes = artifact.stamp.size;
                subject.sealed = artifact.sealed;
                if subject.project.is_none() {
                    subject.project = inventory.project_named(artifact).map(text);
                    subject.projects = subject.project.iter().cloned().collect();
                }
            }
            Asked::Folder { folder, below, .. } => {
                subject.is = "folder";
                subject.path = Some(text(&inventory.full_folder_path(*folder)));
                // Through everything that was found: a folder that is no session's has no list of its own.
                for artifact in &inventory.artifacts {
                    let within = inventory.folder(artifact.folder).store == inventory.folder(*folder).store
                        && inventory.folder_path(artifact.folder).starts_with(below);
                    if within {
                        subject.files += 1;
                        subject.bytes += artifact.stamp.size;
                        let kind = artifact.kind.map_or("unrecognised", Kind::name);
                        *subject.kinds.entry(kind).or_default() += 1;
                    }
                }
            }
            Asked::Unlisted { path, .. } => {
                subject.is = "unlisted";
                subject.path = Some(text(path));
            }
            Asked::Outside { path } => {
                subject.is = "outside";
                subject.path = Some(text(path));
            }
        }
        subject
    }

    /// Of what is asked about, that it was deleted before.
    fn returns(&self) -> impl Iterator<Item = String> {
        let session = self.session().map(|(_, session)| (session.store, session.id));
        let is_asked = move |back: &&CameBack| match (back.what, &self.asked) {
            (What::Copy(at), Asked::File(asked)) => at == *asked,
            (What::Copy(_), _) => session.is_some_and(|(_, id)| id == back.session),
            (What::Session(at), _) => {
                let of = self.run.inventory.session(at);
                session == Some((of.store, of.id))
            }
        };
        self.came_back.iter().filter(is_asked).map(|back| {
            let (day, run) = (time(back.deletion.time), short(&back.deletion.run));
            let what = match &back.copy {
                Some(name) => format!("'{name}' is a copy of session {}, which", back.session),
                None => format!("it came back: session {}", back.session),
            };
            format!("{what} was deleted on {day} by run {run}; `ccretain check` names the likely source")
        })
    }

    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes: Vec<String> = self.returns().collect();
        match &self.asked {
            Asked::Outside { .. } => notes.push("it lies in no store: ccretain never touches it".to_owned()),
            Asked::Unlisted { .. } => notes.push(
                "it lies below a store and was not listed there: another file system, behind a link, a lock or \
                 something of ccretain itself; ccretain does not touch it"
                    .to_owned(),
            ),
            Asked::Folder { .. } => notes.push(
                "rules decide about the files in a folder; a folder goes when it became empty by that".to_owned(),
            ),
            Asked::File(at) => {
                let artifact = self.run.inventory.artifact(*at);
                if artifact.kind.is_none() {
                    notes.push(
                        "the catalogue does not know this name: it is reported as unrecognised and never touched"
                            .to_owned(),
                    );
                }
                if artifact.hard_linked {
                    notes.push("it has more than one hard link: where it goes, its data remain".to_owned());
                }
                if artifact.kind.is_some_and(|kind| kind.row().disposal != Disposal::File) {
                    notes.push("the file stays; its lines or entries are decided about one by one".to_owned());
                }
            }
            Asked::Session(at) => {
                let unrecognised = self.run.inventory.session(*at).unrecognised;
                if unrecognised > 0 {
                    notes.push(format!(
                        "{unrecognised} in its folders is unrecognised and would stay: it would be partly deleted"
                    ));
                }
            }
        }
        notes
    }
}
