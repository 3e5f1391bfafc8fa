//! The certificate of a purge in words: as text, and as one page for a browser or a printer.
//!
//! Both say the same, from the functions here; the page cuts long lists, and says so.

mod given;
mod html;
mod parts;
mod text;

#[cfg(test)]
mod tests;

use super::human::{counted, size};
use crate::purge::certificate::{
    Amount, Certificate, Format, Identity, Imprint, Machine, Parts, Proof, ResidualRisk, Scope, SeenWord,
    Verdict, Witness, verify_command,
};

pub use given::{Given, GivenError};
use html::{Embedded, embedded};

/// A printing of a certificate; JSON is the certificate itself.
pub fn print(certificate: &Certificate, format: Format, imprint: &Imprint<'_>) -> String {
    match format {
        Format::Json => imprint.json.to_owned(),
        Format::Html => html::page(certificate, imprint),
        Format::Text => text::page(certificate, imprint),
    }
}

/// A file of a certificate that was written, on a line; a signature with the command that verifies it.
pub fn handed_over(file: &std::path::Path) -> String {
    let json = file.extension().is_some_and(|extension| extension == "sig").then(|| file.with_extension(""));
    match json.as_deref().and_then(std::path::Path::to_str) {
        // The command is to be run as it stands, so names are quoted for a shell and not escaped.
        Some(json) if crate::escape::text(json) == json => format!(
            "signature: {json}.sig\nverify it: {}\n           (`allowed_signers` is the organisation's own; the line \
             for this key is in the certificate)\n",
            verify_command(json)
        ),
        _ => format!("certificate: {}\n", crate::escape::text(file)),
    }
}

/// Whether a page shows what the certificate in it says, and nothing else.
///
/// # Errors
/// What is wrong with the page. A page of another version of this program words it otherwise, and
/// so is not judged.
pub fn compare_page(certificate: &Certificate, page: &Embedded<'_>, whole: &str) -> Result<(), String> {
    if certificate.parts.tool.version != env!("CARGO_PKG_VERSION") {
        return Ok(());
    }
    let sha256 = crate::purge::certificate::digest(page.json.as_bytes());
    let imprint = Imprint { json: page.json, sha256: &sha256, json_name: page.name.as_deref() };
    if html::page(certificate, &imprint) == whole {
        Ok(())
    } else {
        Err("the page shows something else than the certificate in it: it was changed".to_owned())
    }
}

/// The verdict in a sentence or two.
pub fn statement(certificate: &Certificate) -> String {
    let scope = &certificate.parts.method.scope;
    let mut said = match certificate.verdict {
        Verdict::Complete => {
            "In the roots listed, what was to be removed was removed, and a second scan found none of it."
                .to_owned()
        }
        Verdict::CompleteExceptAsListed => {
            "In the roots listed, what was to be removed was removed, and a second scan found none of it, except for \
             the unrecognised files listed under what stays, which the operator has named to be kept."
                .to_owned()
        }
        Verdict::Partial => {
            "In the roots listed, the part that was asked for was removed, and a second scan found \
                             none of it."
                .to_owned()
        }
        Verdict::Incomplete => {
            let scan = match certificate.parts.verification.result {
                Proof::NothingLeft => String::new(),
                result => format!(", and the second scan {}", result.words()),
            };
            format!(
                "In the roots listed, not everything that was to be removed is known to be gone: there are {}{scan}.",
                counted(certificate.parts.exceptions.len() as u64, "exception")
            )
        }
    };
    if scope.is_partial() {
        said.push_str(" The purge was partial: the rest was not touched.");
    }
    said
}

fn asked(scope: &Scope) -> String {
    let mut parts = Vec::new();
    if !scope.projects.is_empty() {
        parts.push(format!("only sessions of projects {}", scope.projects.join(", ")));
    }
    if let Some(session) = &scope.session {
        parts.push(format!("only session {session}"));
    }
    if let Some(before) = scope.before {
        parts.push(format!("only what was last active before {}", super::json::time(before)));
    }
    if parts.is_empty() {
        parts.push("session content of the roots listed, at any date, sealed or not".to_owned());
    }
    if !scope.stores.is_empty() {
        parts.push(format!("only stores {}", scope.stores.join(", ")));
    }
    if !scope.left_out.is_empty() {
        parts.push(format!("known stores left out: {}", scope.left_out.join(", ")));
    }
    if !scope.with.is_empty() {
        parts.push(format!("with {}", scope.with.join(", ")));
    }
    if !scope.except.is_empty() {
        parts.push(format!("except unrecognised files {}", scope.except.join(", ")));
    }
    if scope.even_live {
        parts.push("even of running clients".to_owned());
    }
    if let Some(reason) = &scope.break_holds {
        parts.push(format!("breaking holds: {reason}"));
    }
    parts.join("; ")
}

/// The machine on one line.
fn machine(machine: &Machine) -> String {
    let Machine { name, os, os_version, kernel, arch, model, serial } = machine;
    let mut parts = vec![name.clone().unwrap_or_else(|| "host name not known".to_owned())];
    parts.extend(model.clone());
    parts.push(match serial {
        Some(serial) => format!("serial {serial}"),
        None => "serial not readable".to_owned(),
    });
    parts.push(os_version.clone().unwrap_or_else(|| os.clone()));
    parts.extend(kernel.as_ref().map(|kernel| format!("kernel {kernel}")));
    parts.push(arch.clone());
    parts.join(", ")
}

/// Who had it done.
fn operator(parts: &Parts) -> String {
    let operator = &parts.operator;
    let sudo = operator.sudo_user.as_ref().map_or_else(String::new, |user| format!(", by sudo of {user}"));
    let consent = match operator.consent {
        Witness::Terminal => "consented at a terminal",
        Witness::CommandLine => "consented on the command line (--yes)",
        Witness::Unneeded => "not asked, because nothing was to be removed",
    };
    let users = if operator.all_users { ", for every account" } else { "" };
    format!("{} (uid {}){sudo}, {consent}{users}", operator.name, operator.uid)
}

/// The roots, and the folders of each that lie elsewhere: place, tree or way, owner, device, file system, volume,
/// whether it is encrypted.
fn root_rows(parts: &Parts) -> Vec<[String; 7]> {
    let known = |value: &Option<String>| value.clone().unwrap_or_else(|| "not known".to_owned());
    let rows = parts.stores.iter().flat_map(|store| {
        let root = [
            store.root.clone(),
            store.kind.clone(),
            store.owner.clone(),
            store.device.to_string(),
            known(&store.file_system),
            known(&store.volume),
            store.encrypted.word().to_owned(),
        ];
        let folders = store.folders.iter().map(|folder| {
            [
                format!("{}/{}", store.root, folder.path),
                folder.way.clone(),
                store.owner.clone(),
                folder.device.to_string(),
                known(&folder.file_system),
                known(&folder.volume),
                folder.encrypted.word().to_owned(),
            ]
        });
        std::iter::once(root).chain(folders)
    });
    rows.collect()
}

/// Files, lines and bytes on one line.
fn amount(amount: &Amount) -> String {
    let mut parts = Vec::new();
    if amount.files > 0 || amount.lines == 0 {
        parts.push(counted(amount.files, "file"));
    }
    if amount.lines > 0 {
        parts.push(counted(amount.lines, "line"));
    }
    parts.push(size(amount.bytes));
    parts.join(", ")
}

/// In which form content lay, as far as anything did.
fn forms(parts: &Parts) -> Vec<String> {
    let forms = &parts.counts.forms;
    let mut said = Vec::new();
    if !forms.plaintext.is_nothing() {
        said.push(format!("plaintext until it was removed: {}", amount(&forms.plaintext)));
    }
    if !forms.sealed_after_plaintext.is_nothing() {
        said.push(format!(
            "sealed when it was removed, and plaintext on this machine before: {}; destroying a key does not reach \
             what the plaintext left on the medium",
            amount(&forms.sealed_after_plaintext)
        ));
    }
    if !forms.only_sealed.is_nothing() {
        said.push(format!(
            "sealed when it was removed, and no record shows that it ever was plaintext on this machine: {}",
            amount(&forms.only_sealed)
        ));
    }
    let any_sealed = !forms.sealed_after_plaintext.is_nothing() || !forms.only_sealed.is_nothing();
    match parts.method.identity {
        Identity::Removed => said.push(
            "the identity beside the policy was removed: what it alone opened is not readable with it any more; copies \
             of it and the keys of other recipients are not known here"
                .to_owned(),
        ),
        Identity::Kept if any_sealed => {
            said.push("the identity that opens sealed files stays, and opens copies of them elsewhere".to_owned());
        }
        Identity::Kept | Identity::None => {}
    }
    said
}

/// What the second scan came to.
fn verification(parts: &Parts) -> String {
    let scan = &parts.verification;
    let mut said = match scan.time {
        Some(time) => format!(
            "a second scan of {} ({}), ended {}, {}",
            counted(scan.roots, "root"),
            counted(scan.files, "file"),
            super::json::time(time),
            scan.result.words()
        ),
        None => format!("a second scan {}", scan.result.words()),
    };
    if !scan.left.is_nothing() {
        said =
            format!("{said}: {} of {}", amount(&scan.left.amount()), counted(scan.left.sessions, "session"));
    }
    said
}

/// The risks that were seen or cannot be told, those first that were seen; and the ids of the others.
fn risks(parts: &Parts) -> (Vec<&ResidualRisk>, Vec<&str>) {
    let of = |seen: SeenWord| parts.residual_risks.iter().filter(move |risk| risk.seen == seen);
    let shown = of(SeenWord::Yes).chain(of(SeenWord::Unknown)).collect();
    (shown, of(SeenWord::No).map(|risk| risk.id.as_str()).collect())
}

/// How the certificate is compared with the ledger; `own` names the file that says so, where that
/// one can be compared itself.
fn comparing(imprint: &Imprint<'_>, own: Option<&str>) -> String {
    match imprint.json_name.or(own) {
        Some(name) => format!("`ccretain ledger verify --certificate {name}`"),
        None => "this text holds no document to compare; the ledger records its hash".to_owned(),
    }
}

/// How the signature is verified, a line each; nothing where there is none.
fn signature(parts: &Parts, imprint: &Imprint<'_>) -> Option<[String; 3]> {
    let signer = parts.operator.signer.as_ref()?;
    let json = imprint.json_name.unwrap_or("CERTIFICATE.json");
    Some([
        format!("{json} is signed by the key {}", signer.fingerprint),
        signer.allowed_signer(),
        verify_command(json),
    ])
}
