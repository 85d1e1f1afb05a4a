//! What other runtimes need for the same networks on the same cores: `docs/peers.json`, recorded once.

use anyhow::{Context as _, Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// Where the figures lie.
const FILE: &str = "docs/peers.json";

/// What the names of networks have before them as models of the repository.
const PREFIX: &str = "mlperf_";

/// All recorded figures.
#[derive(Debug, Deserialize)]
pub struct Peers {
    /// The largest sum of tensors alive at once, for each network.
    pub floors: BTreeMap<String, u64>,
    peers: Vec<Peer>,
}

/// The figures of a runtime on a core.
#[derive(Debug, Deserialize)]
struct Peer {
    runtime: String,
    /// The cores of the boards that they stand beside.
    cores: Vec<String>,
    networks: BTreeMap<String, PeerFigures>,
}

/// What a network costs with another runtime.
#[derive(Clone, Debug, Deserialize)]
pub struct PeerFigures {
    /// Instructions of one inference.
    pub instructions: u64,
    /// Bytes of its arena that are in use; 0 if they were not recorded.
    #[serde(default)]
    pub arena_bytes: u64,
    /// Flash without the model; 0 if it was not recorded.
    #[serde(default)]
    pub runtime_flash_bytes: u64,
}

impl Peers {
    /// Reads the figures of the repository at `root`.
    ///
    /// # Errors
    /// The file is missing or is no JSON of this form.
    pub fn read(root: &Path) -> Result<Self> {
        let text = std::fs::read(root.join(FILE)).with_context(|| format!("cannot read {FILE}"))?;
        serde_json::from_slice(&text).with_context(|| format!("in {FILE}"))
    }

    /// The name of the runtime with figures for `model` on `core`, and these.
    pub fn find(&self, core: &str, model: &str) -> Option<(&str, &PeerFigures)> {
        let network = model.strip_prefix(PREFIX)?;
        let peer = self.peers.iter().find(|peer| peer.cores.iter().any(|one| one == core))?;
        Some((&peer.runtime, peer.networks.get(network)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::Board;

    #[test]
    fn a_network_has_the_figures_of_its_core_and_no_other() {
        let peers = Peers::read(&crate::context::root()).unwrap();
        let (runtime, kws) = peers.find("Cortex-M4F", "mlperf_kws").unwrap();
        assert_eq!((runtime, kws.instructions, kws.arena_bytes), ("TFLM", 7_697_758, 22_820));
        assert_eq!(peers.find("Cortex-A53", "mlperf_ad").unwrap().0, "LiteRT");
        assert!(peers.find("Cortex-M4F", "kws").is_none());
        assert!(peers.find("Cortex-M1", "mlperf_kws").is_none());
    }

    #[test]
    fn every_core_but_those_with_vectors_or_64_bits_of_risc_v_has_a_peer() {
        let root = crate::context::root();
        let peers = Peers::read(&root).unwrap();
        for board in Board::emulated(&root).unwrap() {
            let without = board.core.starts_with("RV64") || board.core.contains("Zve32x");
            assert_eq!(peers.find(&board.core, "mlperf_kws").is_none(), without, "{}", board.core);
        }
    }
}
