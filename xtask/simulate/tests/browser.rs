//! The page of a run in a browser: it loads without an error and without the network, its plots are drawn, and it fits wide and
//! narrow windows.
//!
//! Chromium is looked for under its usual names, or is the program that `TEALIGHT_CHROMIUM` names. Without it nothing is tested,
//! which is told; with `TEALIGHT_BROWSER=required`, as `cargo xtask test --full` sets it, that is a failure.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The names of the program.
const NAMES: [&str; 5] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];

fn chromium() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("TEALIGHT_CHROMIUM") {
        return Some(named.into());
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .flat_map(|folder| NAMES.map(|name| folder.join(name)))
        .find(|program| program.is_file())
}

fn simulate(words: &[&str], output: &Path) -> std::io::Result<Output> {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models");
    let mut command = Command::new(env!("CARGO_BIN_EXE_tealight-simulate"));
    command.arg("--models").arg(models).args(words).arg("--output").arg(output);
    command.output()
}

/// A page with `page` in a frame of each width, and a script that measures the frames.
fn measuring(page: &str, widths: &[u32]) -> String {
    let escaped = page.replace('&', "&amp;").replace('"', "&quot;");
    let frames: String = widths
        .iter()
        .map(|width| {
            format!("<iframe style=\"width: {width}px; height: 800px; border: 0\" srcdoc=\"{escaped}\"></iframe>")
        })
        .collect();
    format!(
        r#"<!DOCTYPE html><html><body>{frames}<pre id="found"></pre><script>
const errors = [];
addEventListener("error", event => errors.push(String(event.message)));
addEventListener("load", () => {{
  const found = [...document.querySelectorAll("iframe")].map(frame => {{
    const page = frame.contentDocument, view = frame.contentWindow;
    const shapes = [...page.querySelectorAll("svg")].map(svg => {{
      const box = svg.getBoundingClientRect();
      const inside = [...svg.querySelectorAll("polyline, rect, text")].every(shape => {{
        const its = shape.getBoundingClientRect();
        return its.left >= box.left - 2 && its.right <= box.right + 2 && its.top >= box.top - 2 && its.bottom <= box.bottom + 2;
      }});
      const lengths = [...svg.querySelectorAll("polyline")].map(line => line.getTotalLength());
      const bars = [...svg.querySelectorAll("rect")].filter(bar => bar.getBoundingClientRect().height > 0).length;
      const text = svg.querySelector("text").getBoundingClientRect().height;
      return {{ width: box.width, height: box.height, inside, lengths, bars, text }};
    }});
    return {{
      width: view.innerWidth,
      visible: page.documentElement.clientWidth,
      needed: page.documentElement.scrollWidth,
      loaded: view.performance.getEntriesByType("resource").map(entry => entry.name),
      title: page.title,
      shapes,
    }};
  }});
  document.getElementById("found").textContent = "FOUND" + JSON.stringify({{ errors, found }}) + "END";
}});
</script></body></html>"#
    )
}

#[test]
fn the_page_is_drawn_without_the_network_and_fits_wide_and_narrow_windows() {
    let Some(chromium) = chromium() else {
        assert!(
            std::env::var_os("TEALIGHT_BROWSER").is_none_or(|value| value != "required"),
            "there is no Chromium: install one, such as the package `chromium`, or name it in TEALIGHT_CHROMIUM"
        );
        println!("skipped: there is no Chromium");
        return;
    };
    let folder = std::env::temp_dir().join(format!("tealight-page-{}", std::process::id()));
    let ran = simulate(&["--seconds", "8"], &folder).unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let page = std::fs::read_to_string(folder.join("balance.html")).unwrap();
    let widths = [1_400, 700, 360];
    let file = folder.join("measured.html");
    std::fs::write(&file, measuring(&page, &widths)).unwrap();
    let shown = Command::new(&chromium)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"])
        .args(["--host-resolver-rules=MAP * ~NOTFOUND", "--window-size=1500,900", "--virtual-time-budget=10000"])
        .arg(format!("--user-data-dir={}", folder.join("profile").display()))
        .arg("--dump-dom")
        .arg(format!("file://{}", file.display()))
        .output()
        .unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    let dom = String::from_utf8_lossy(&shown.stdout);
    let json = dom.split_once(">FOUND").and_then(|(_, rest)| rest.split_once("END<")).map(|(json, _)| json);
    let json = json.unwrap_or_else(|| panic!("no result: {}", String::from_utf8_lossy(&shown.stderr)));
    let json = json.replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">");
    let result: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(result["errors"].as_array().map(Vec::len), Some(0), "{result}");
    let found = result["found"].as_array().unwrap();
    assert_eq!(found.len(), widths.len());
    for (frame, width) in found.iter().zip(widths) {
        assert_eq!(frame["width"], width, "{frame}");
        // What is visible is the frame less the bar that scrolls down.
        assert_eq!(frame["needed"], frame["visible"], "it does not fit: {frame}");
        assert_eq!(frame["loaded"].as_array().map(Vec::len), Some(0), "{frame}");
        assert_eq!(frame["title"], "Balance");
        let shapes = frame["shapes"].as_array().unwrap();
        assert_eq!(shapes.len(), 7);
        for shape in shapes {
            let number = |name: &str| shape[name].as_f64().unwrap();
            assert!(number("width") >= 320.0 && number("height") > 50.0 && number("text") >= 8.0, "{shape}");
            assert_eq!(shape["inside"], true, "{shape}");
            let lengths: Vec<f64> =
                shape["lengths"].as_array().unwrap().iter().map(|one| one.as_f64().unwrap()).collect();
            // A line goes from the left of its plot to the right, and the scores have bars.
            assert!(lengths.iter().all(|length| *length > 800.0), "{shape}");
            assert!(!lengths.is_empty() || number("bars") >= 7.0, "{shape}");
        }
    }
}
