//! Finding the debug probe.

use crate::Error;
use probe_rs::probe::list::{Accessibility, Lister, ProbeListItem};
use probe_rs::probe::{DebugProbeInfo, DebugProbeSelector, Probe};
use tealight_console::error_line;

/// The probes that are found, with those that this user may not open.
pub fn all(lister: &Lister) -> Vec<ProbeListItem> {
    lister.list_all_with_access()
}

/// How a probe is named after `--probe`.
pub fn selector(probe: &DebugProbeInfo) -> String {
    let interface = probe.interface.map_or_else(String::new, |interface| format!("-{interface}"));
    let serial = probe.serial_number.as_ref().map_or_else(String::new, |serial| format!(":{serial}"));
    format!("{:04x}:{:04x}{interface}{serial}", probe.vendor_id, probe.product_id)
}

/// Chooses a probe: the one that `chosen` names, or the only one there is.
///
/// # Errors
/// There is none, or several, or this user may not open it.
pub fn choose(lister: &Lister, chosen: Option<&str>) -> Result<DebugProbeInfo, Error> {
    let found = match chosen {
        None => all(lister),
        Some(text) => {
            let selector: DebugProbeSelector = text.parse().map_err(|_| Error::Selector(text.into()))?;
            lister.list_with_access(Some(&selector))
        }
    };
    match (&found[..], chosen) {
        ([], None) => Err(Error::NoProbe("")),
        ([], Some(text)) => Err(Error::NoSuchProbe(text.into())),
        ([probe], _) if probe.accessibility == Accessibility::PermissionDenied => {
            Err(Error::NoPermission { name: probe.info.identifier.clone(), rule: udev_rule(&probe.info) })
        }
        ([probe], _) => Ok(probe.info.clone()),
        (several, _) => Err(Error::SeveralProbes(several.iter().map(|probe| selector(&probe.info)).collect())),
    }
}

/// Opens a probe.
///
/// # Errors
/// [`Error::Open`].
pub fn open(probe: &DebugProbeInfo) -> Result<Probe, Error> {
    probe.open().map_err(|error| Error::Open(error_line(&error)))
}

/// The lines that let the user at the screen open a probe: its USB device, and the HID device that older ones are.
fn udev_rule(probe: &DebugProbeInfo) -> String {
    let (vendor, product) = (probe.vendor_id, probe.product_id);
    let rule = |subsystem: &str, attribute: &str| {
        format!(
            "  SUBSYSTEM==\"{subsystem}\", {attribute}{{idVendor}}==\"{vendor:04x}\", \
             {attribute}{{idProduct}}==\"{product:04x}\", MODE=\"0660\", TAG+=\"uaccess\""
        )
    };
    format!("{}\n{}", rule("usb", "ATTR"), rule("hidraw", "ATTRS"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use probe_rs::probe::DebugProbeError;
    use probe_rs::probe::glasgow::GlasgowFactory;
    use probe_rs::probe::list::ProbeLister;

    /// Probes that are only listed.
    #[derive(Debug)]
    struct Listed(Vec<ProbeListItem>);

    impl ProbeLister for Listed {
        fn open(&self, _: &DebugProbeSelector) -> Result<Probe, DebugProbeError> {
            Err(DebugProbeError::TargetNotFound)
        }

        fn list_with_access(&self, selector: Option<&DebugProbeSelector>) -> Vec<ProbeListItem> {
            let matching = |probe: &&ProbeListItem| selector.is_none_or(|selector| selector.matches_probe(&probe.info));
            self.0.iter().filter(matching).cloned().collect()
        }
    }

    fn probe(serial: &str, accessibility: Accessibility) -> ProbeListItem {
        let info =
            DebugProbeInfo::new("BBC micro:bit", 0x0d28, 0x0204, Some(serial.into()), &GlasgowFactory, None, false);
        ProbeListItem { info, accessibility }
    }

    fn chosen(probes: &[ProbeListItem], text: Option<&str>) -> Result<String, Error> {
        let lister = Lister::with_lister(Box::new(Listed(probes.to_vec())));
        choose(&lister, text).map(|probe| selector(&probe))
    }

    #[test]
    fn without_a_choice_the_only_probe_is_taken() {
        let [a, b] = ["a", "b"].map(|serial| probe(serial, Accessibility::Accessible));
        assert_eq!(chosen(std::slice::from_ref(&a), None).unwrap(), "0d28:0204:a");
        assert!(matches!(chosen(&[], None), Err(Error::NoProbe(""))));
        let error = chosen(&[a, b], None).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        let text = error.to_string();
        assert!(text.contains("--probe 0d28:0204:a\n  --probe 0d28:0204:b"), "{text}");
    }

    #[test]
    fn a_choice_takes_one_of_several() {
        let probes = ["a", "b"].map(|serial| probe(serial, Accessibility::Accessible));
        assert_eq!(chosen(&probes, Some("0d28:0204:b")).unwrap(), "0d28:0204:b");
        assert!(matches!(chosen(&probes, Some("0d28:0204")), Err(Error::SeveralProbes(list)) if list.len() == 2));
        assert!(matches!(chosen(&probes, Some("1234:0204")), Err(Error::NoSuchProbe(_))));
        let error = chosen(&probes, Some("usb")).unwrap_err();
        assert!(matches!(error, Error::Selector(_)) && error.exit_code() == 2);
    }

    #[test]
    fn a_probe_that_may_not_be_opened_is_answered_with_the_rule_for_it() {
        let error = chosen(&[probe("a", Accessibility::PermissionDenied)], None).unwrap_err();
        let text = error.to_string();
        let rule = r#"SUBSYSTEM=="usb", ATTR{idVendor}=="0d28", ATTR{idProduct}=="0204""#;
        assert!(text.contains(rule) && text.contains(r#"SUBSYSTEM=="hidraw""#), "{text}");
        assert!(text.contains("BBC micro:bit") && text.contains("udevadm"), "{text}");
        assert_eq!(error.exit_code(), 1);
    }
}
