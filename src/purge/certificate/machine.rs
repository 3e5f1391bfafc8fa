//! Which machine it was, as far as its own files and programs tell; what they do not is left out.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::escape::text;
use crate::exposure::Host;
use crate::platform::Platform;

/// The machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Machine {
    /// Its host name; absent where it cannot be told.
    pub name: Option<String>,
    /// The operating system: `linux`, `macos`, `windows`.
    pub os: String,
    /// Which one and which version, in its own words.
    pub os_version: Option<String>,
    /// The release of its kernel.
    pub kernel: Option<String>,
    /// The architecture.
    pub arch: String,
    /// Maker and model.
    pub model: Option<String>,
    /// The serial number; often only root may read it.
    pub serial: Option<String>,
}

impl Machine {
    /// Looks what this machine calls itself.
    pub fn look(platform: Platform, host: &dyn Host) -> Self {
        let arch = std::env::consts::ARCH.to_owned();
        match platform {
            Platform::Linux => Self {
                name: first_line(host, "/proc/sys/kernel/hostname"),
                os: "linux".to_owned(),
                os_version: ["/etc/os-release", "/usr/lib/os-release"]
                    .iter()
                    .find_map(|path| pretty_name(&read(host, path)?)),
                kernel: first_line(host, "/proc/sys/kernel/osrelease"),
                arch,
                model: model(host),
                serial: serial(platform, host),
            },
            Platform::Macos => {
                let sysctl = |name: &str| said(host, "/usr/sbin/sysctl", &["-n", name]);
                Self {
                    name: sysctl("kern.hostname"),
                    os: "macos".to_owned(),
                    os_version: sysctl("kern.osproductversion").map(|version| format!("macOS {version}")),
                    kernel: sysctl("kern.osrelease"),
                    arch,
                    model: sysctl("hw.model"),
                    serial: serial(platform, host),
                }
            }
            Platform::Windows => Self {
                name: None,
                os: "windows".to_owned(),
                os_version: None,
                kernel: None,
                arch,
                model: None,
                serial: None,
            },
        }
    }
}

/// What tells this machine from others of the same name: the machine id of systemd or D-Bus, else the serial
/// number. `None` where neither can be read.
pub fn machine_id(platform: Platform, host: &dyn Host) -> Option<String> {
    let installed = || {
        // A host's name is given by whoever sets it up, and may be that of many.
        let ids = ["/etc/machine-id", "/var/lib/dbus/machine-id"];
        ids.iter().find_map(|path| first_line(host, path).filter(|id| is_machine_id(id)))
    };
    match platform {
        Platform::Linux => installed().or_else(|| serial(platform, host)),
        Platform::Macos | Platform::Windows => serial(platform, host),
    }
}

/// 32 hex digits, and not the zeros or the word of a machine that was not set up yet.
fn is_machine_id(id: &str) -> bool {
    id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()) && id.bytes().any(|byte| byte != b'0')
}

fn serial(platform: Platform, host: &dyn Host) -> Option<String> {
    match platform {
        Platform::Linux => first_line(host, "/sys/class/dmi/id/product_serial")
            .or_else(|| first_line(host, "/sys/firmware/devicetree/base/serial-number")),
        Platform::Macos => host
            .run("/usr/sbin/ioreg", &["-rd1", "-c", "IOPlatformExpertDevice"])
            .ok()
            .and_then(|said| registered(&said, "IOPlatformSerialNumber")),
        Platform::Windows => None,
    }
}

fn read(host: &dyn Host, path: &str) -> Option<String> {
    let content = host.read(Path::new(path)).ok().flatten()?;
    Some(String::from_utf8_lossy(&content).into_owned())
}

/// The first line of a file, unless it says nothing; vendors leave remarks where a value is missing.
fn first_line(host: &dyn Host, path: &str) -> Option<String> {
    let content = read(host, path)?;
    let line = content.lines().next()?.trim_matches(|c: char| c.is_whitespace() || c == '\0');
    let says_nothing =
        ["", "none", "not specified", "default string", "to be filled by o.e.m.", "system serial number"];
    (!says_nothing.contains(&line.to_lowercase().as_str())).then(|| text(line))
}

fn model(host: &dyn Host) -> Option<String> {
    let maker = first_line(host, "/sys/class/dmi/id/sys_vendor");
    let product = first_line(host, "/sys/class/dmi/id/product_name")
        .or_else(|| first_line(host, "/sys/firmware/devicetree/base/model"));
    match (maker, product) {
        (Some(maker), Some(product)) => Some(format!("{maker} {product}")),
        (maker, product) => product.or(maker),
    }
}

/// `PRETTY_NAME="…"` of os-release(5).
fn pretty_name(content: &str) -> Option<String> {
    let value = content.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    let value = value.trim().trim_matches(['"', '\'']);
    (!value.is_empty()).then(|| text(value))
}

fn said(host: &dyn Host, program: &str, arguments: &[&str]) -> Option<String> {
    let said = host.run(program, arguments).ok()?;
    let line = said.lines().next()?.trim();
    (!line.is_empty()).then(|| text(line))
}

/// `"key" = "value"` in the output of ioreg(8).
fn registered(said: &str, key: &str) -> Option<String> {
    let quoted = format!("\"{key}\"");
    let line = said.lines().map(str::trim).find(|line| line.starts_with(&quoted))?;
    let value = line.split_once('=')?.1.trim().trim_matches('"');
    (!value.is_empty()).then(|| text(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_and_remarks_are_not() {
        assert_eq!(
            pretty_name("NAME=x\nPRETTY_NAME=\"Debian GNU/Linux 13 (trixie)\"\n").as_deref(),
            Some("Debian GNU/Linux 13 (trixie)")
        );
        let ioreg = "+-o J314sAP  <class IOPlatformExpertDevice>\n    {\n      \"IOPlatformUUID\" = \"A-B\"\n      \
                     \"IOPlatformSerialNumber\" = \"C02XYZ\"\n    }\n";
        assert_eq!(registered(ioreg, "IOPlatformSerialNumber").as_deref(), Some("C02XYZ"));
        assert_eq!(registered(ioreg, "Other"), None);
        assert!(is_machine_id("0123456789abcdef0123456789abcdef"));
        for none in
            ["", "uninitialized", "00000000000000000000000000000000", "0123456789abcdef0123456789abcdeg"]
        {
            assert!(!is_machine_id(none), "{none}");
        }
    }
}
