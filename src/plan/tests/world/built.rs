//! The inventory of a random world.

use super::*;

impl World {
    pub fn inventory(&self) -> Inventory {
        let store = |(at, spec): (usize, &StoreSpec)| StoreView {
            store: Store {
                // As they are located: nothing of such a store is changed.
                in_scope: !(spec.is_out_of_scope || spec.is_excluded || spec.lacks_own),
                is_excluded: spec.is_excluded,
                kind: if spec.is_temp { Root::Temp } else { Root::Config },
                crossings: Crossings {
                    out_of_reach: spec.lacks_own.then(lost_own_folder).into_iter().collect(),
                    reached_from: spec
                        .reached_from
                        .map(|other| (Default::default(), root(other)))
                        .into_iter()
                        .collect(),
                    ..Crossings::default()
                },
                ..config_store(at)
            },
            live: spec
                .client
                .map(|is_checked| LiveClient {
                    pid: 7,
                    session: None,
                    liveness: Liveness::Process(7),
                    is_checked,
                    started: None,
                })
                .into_iter()
                .collect(),
            workers: Vec::new(),
            has_empty_projects: spec.has_empty_projects,
        };
        let folder = |at: usize| Folder {
            store: StoreIndex::of(at),
            parent: None,
            name: Name::default(),
            anchor: None,
            session: None,
            hides_names: false,
        };
        let mut line_files = Vec::new();
        for (at, file) in self.files.iter().enumerate() {
            let Some((format, specs)) = &file.lines else { continue };
            let mut content = Lines { format: *format, is_well_formed: true, ..Lines::default() };
            for spec in specs {
                let place = u32::try_from(content.lines.len()).unwrap();
                // Only a prompt history refers to pastes by hash.
                let pastes = spec.pastes.iter().filter(|_| *format == Format::JsonLines);
                content.references.extend(pastes.map(|hash| (format!("{hash:016x}").into(), place)));
                content.lines.push(Line {
                    date: spec.date.map(before),
                    project: spec.project.map(Arc::from),
                    session: spec.session.map(id),
                    ..Line::default()
                });
            }
            line_files.push(LineFile { artifact: ArtifactIndex::of(at), content });
        }
        let (mut names, mut projects, mut grouped) = (Names::default(), Vec::new(), Vec::new());
        let artifacts: Vec<Artifact> =
            self.files.iter().map(|spec| artifact(spec, &mut names, &mut projects)).collect();
        let specs = || artifacts.iter().zip(&self.files);
        let plans = specs().filter(|(artifact, _)| artifact.kind == Some(Kind::Plan));
        let plans = plans.map(|(artifact, spec)| (artifact.key(), [slug(spec.number)].into())).collect();
        let is_log = |kind: Kind| kind.row().owner == Owner::Named;
        let logs = specs().filter(|(artifact, _)| artifact.kind.is_some_and(is_log));
        let logs = logs.map(|(artifact, spec)| {
            let (named, newest, is_whole) = &spec.named;
            let mut sessions: Vec<SessionId> = named.iter().map(|number| id(*number)).collect();
            sessions.dedup();
            let projects = spec.project.into_iter().map(Arc::from).collect();
            let newest = newest.map(before).filter(|date| *date <= NOW());
            (artifact.key(), Log { sessions, projects, newest, is_whole: *is_whole, ..Log::default() })
        });
        let logs = logs.collect();
        let sessions = self.sessions.iter().enumerate();
        let sessions = sessions.map(|(at, spec)| self.session(at, spec, &mut grouped)).collect();
        Inventory {
            taken: NOW(),
            stores: self.stores.iter().enumerate().map(store).collect(),
            folders: (0..STORES).map(folder).collect(),
            folder_names: Names::default(),
            artifacts,
            names,
            projects,
            sessions,
            grouped,
            line_files,
            plans,
            slug_key: None,
            logs,
            first_seen: FirstSeen::default(),
            problems: Vec::new(),
            is_complete: self.is_complete,
            absent: Default::default(),
            origins: Default::default(),
        }
    }

    fn session(&self, at: usize, spec: &SessionSpec, grouped: &mut Vec<ArtifactIndex>) -> Session {
        let own = self.files.iter().enumerate().filter(|(_, file)| file.session == Some(at));
        let count = |of: &dyn Fn(&FileSpec) -> bool| {
            u32::try_from(own.clone().filter(|(_, file)| of(file)).count()).unwrap()
        };
        let sealed = count(&|file| file.sealed);
        let is_content = |file: &FileSpec| !file.sealed && file.kind.is_some_and(|kind| kind.row().sealable);
        let has_transcript = spec.evidence == Evidence::Transcript
            || count(&|file| file.kind == Some(Kind::Transcript) && file.oddity == Oddity::None) > 0;
        let is_shown = matches!(spec.evidence, Evidence::Transcript | Evidence::Sealed);
        // What lies in another store is not sealed with a transcript.
        let is_here = |file: &FileSpec| file.store == spec.store || !(is_shown && has_transcript);
        let plain = count(&|file| {
            let is_free = file.oddity == Oddity::None && !(file.hard_linked && file.is_regular);
            is_content(file) && is_here(file) && is_free
        });
        let unsealable = count(&|file| {
            let is_linked = file.oddity == Oddity::None && file.hard_linked && file.is_regular;
            is_content(file) && is_here(file) && (is_linked || file.oddity == Oddity::Foreign)
        });
        let start = u32::try_from(grouped.len()).unwrap();
        grouped.extend(own.clone().map(|(at, _)| ArtifactIndex::of(at)));
        Session {
            id: id(spec.id),
            store: StoreIndex::of(spec.store),
            evidence: spec.evidence,
            project: spec.projects.first().map(|project| Arc::from(*project)),
            rivals: spec
                .projects
                .iter()
                .skip(1)
                .take(spec.rivals)
                .map(|project| Arc::from(*project))
                .collect(),
            project_in_doubt: false,
            lacks_projects: false,
            is_told: true,
            before: None,
            files_before: None,
            found: None,
            projects: spec.projects.iter().map(|project| Arc::from(*project)).collect(),
            slugs: spec.slugs.iter().map(|number| slug(*number)).collect(),
            slugs_of: Box::default(),
            newest_record: spec.record.map(before),
            stranger: None,
            later: Default::default(),
            modified: spec.modified.map(before),
            damaged: spec.damaged.map(before),
            first_seen: spec.first_seen.map(before),
            touched: spec.touched.map(before),
            touched_ahead: spec.touched_ahead.map(before),
            liveness: if spec.is_live { Liveness::Process(1) } else { Liveness::Dead },
            checked: if spec.is_live && spec.is_checked { Liveness::Process(1) } else { Liveness::Dead },
            is_unreadable: spec.is_unreadable,
            is_foreign: false,
            is_desktop: false,
            is_desktop_deleted: spec.is_desktop_deleted,
            released: None,
            files: start..u32::try_from(grouped.len()).unwrap(),
            unrecognised: 0,
            untried: None,
            has_record: sealed > 0,
            has_transcript,
            sealing: None,
            earlier: Arc::default(),
            talks: false,
            plain,
            unsealable,
            sealed,
            unsealed: spec.unsealed.map(before),
        }
    }

    /// Carries a plan out on the model.
    pub fn apply(&mut self, plan: &Plan) {
        let mut at_lines = 0;
        for file in &mut self.files {
            let Some((_, lines)) = &mut file.lines else { continue };
            let mut decisions = plan.lines[at_lines].iter();
            lines.retain(|_| decisions.next().unwrap().due().is_none());
            at_lines += 1;
        }
        for (file, decision) in self.files.iter_mut().zip(&plan.decisions) {
            file.sealed |= matches!(decision, Decision::Seal(_));
        }
        let mut decisions = plan.decisions.iter();
        self.files.retain(|_| !matches!(decisions.next().unwrap(), Decision::Delete(_)));
        // Sessions of which the conversation went are gone, with what was still kept of them.
        let stays: Vec<bool> =
            plan.sessions.iter().map(|verdict| !matches!(verdict.decision, Decision::Delete(_))).collect();
        let place = |at: usize| stays[..at].iter().filter(|stays| **stays).count();
        self.files.retain(|file| file.session.is_none_or(|at| stays[at]));
        for file in &mut self.files {
            file.session = file.session.map(place);
        }
        let mut each = stays.iter();
        self.sessions.retain(|_| *each.next().unwrap());
    }
}

fn artifact(spec: &FileSpec, names: &mut Names, projects: &mut Vec<Arc<str>>) -> Artifact {
    let modified = match spec.modified {
        Some(hours) => FileTime::of(before(hours)),
        // A moment that dates cannot hold.
        None => FileTime::new(i64::MAX, 0),
    };
    Artifact {
        folder: FolderIndex::of(spec.store),
        name: names.add(std::ffi::OsStr::new(&spec.name)),
        stamp: FileStamp { modified, ..FileStamp::default() },
        mode: 0o600,
        // In a session's own folder a link is content like the rest.
        file_type: if spec.is_regular { FileType::File } else { FileType::Link },
        hard_linked: spec.hard_linked,
        links: 1 + u32::from(spec.hard_linked),
        allocated: 0,
        oddity: spec.oddity,
        kind: spec.kind,
        belongs: spec.session.map_or(Belongs::Loose, |at| Belongs::Session(SessionIndex::of(at))),
        sealed: spec.sealed,
        project: spec.project.map(|project| {
            projects.push(Arc::from(project));
            ProjectIndex::of(projects.len() - 1)
        }),
    }
}
