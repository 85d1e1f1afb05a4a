//! The serial port of a board.

use crate::Error;
use serialport::{SerialPortInfo, SerialPortType, UsbPortInfo};

/// Who makes what a board with such a chip is plugged in by: Espressif, and the usual converters of Silicon Labs, WCH
/// and FTDI.
const VENDORS: &[u16] = &[0x303A, 0x10C4, 0x1A86, 0x0403];

/// A serial port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Port {
    pub(crate) name: String,
    /// What USB states of it; zeros where it is no USB device.
    pub(crate) usb: UsbPortInfo,
}

impl Port {
    /// The port of this name, or the only one that may be such a board.
    pub(crate) fn find(name: Option<&str>) -> Result<Self, Error> {
        chosen(serialport::available_ports().unwrap_or_default(), name)
    }
}

/// One of the ports that there are; a named one need not be among them.
fn chosen(ports: Vec<SerialPortInfo>, name: Option<&str>) -> Result<Port, Error> {
    let port = |info: SerialPortInfo| match info.port_type {
        SerialPortType::UsbPort(usb) => Port { name: info.port_name, usb },
        _ => Port { name: info.port_name, usb: no_usb() },
    };
    let mut ports: Vec<Port> = ports.into_iter().map(port).collect();
    if let Some(name) = name {
        let known = ports.into_iter().find(|port| port.name == name);
        return Ok(known.unwrap_or(Port { name: name.into(), usb: no_usb() }));
    }
    ports.retain(|port| VENDORS.contains(&port.usb.vid));
    match &ports[..] {
        [] => Err(Error::NoPort),
        [port] => Ok(port.clone()),
        several => Err(Error::SeveralPorts(several.iter().map(|port| port.name.clone()).collect())),
    }
}

fn no_usb() -> UsbPortInfo {
    UsbPortInfo { vid: 0, pid: 0, serial_number: None, manufacturer: None, product: None, interface: None }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed unwrap is a failed test
mod tests {
    use super::*;

    fn usb(name: &str, vid: u16) -> SerialPortInfo {
        let usb = UsbPortInfo { vid, pid: 0x1001, ..no_usb() };
        SerialPortInfo { port_name: name.into(), port_type: SerialPortType::UsbPort(usb) }
    }

    fn other(name: &str) -> SerialPortInfo {
        SerialPortInfo { port_name: name.into(), port_type: SerialPortType::Unknown }
    }

    #[test]
    fn the_only_board_is_found_among_other_ports() {
        let ports = vec![other("/dev/ttyS0"), usb("/dev/ttyACM1", 0x2341), usb("/dev/ttyACM0", 0x303A)];
        let port = chosen(ports, None).unwrap();
        assert_eq!((port.name.as_str(), port.usb.pid), ("/dev/ttyACM0", 0x1001));
    }

    #[test]
    fn none_and_several_are_errors_that_say_what_to_do() {
        assert!(matches!(chosen(vec![other("/dev/ttyS0")], None), Err(Error::NoPort)));
        let error = chosen(vec![usb("a", 0x303A), usb("b", 0x1A86)], None).unwrap_err();
        assert!(error.to_string().ends_with("  --to a\n  --to b") && error.exit_code() == 2, "{error}");
    }

    #[test]
    fn a_named_port_is_taken_whatever_it_is() {
        assert_eq!(chosen(vec![usb("a", 0x303A)], Some("a")).unwrap().usb.vid, 0x303A);
        assert_eq!(chosen(Vec::new(), Some("/dev/pts/3")).unwrap().name, "/dev/pts/3");
    }
}
