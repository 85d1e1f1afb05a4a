//! The recording of a run as an MCAP file with JSON messages, which Foxglove and Rerun open.
//!
//! `/tf` has the schema `foxglove.FrameTransform`, and moves the frame `body` in the frame `world`; the other topics have
//! schemas of their own, in the file.

use crate::trace::Trace;
use anyhow::{Context as _, Result};
use mcap::WriteOptions;
use mcap::records::MessageHeader;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Cursor;
use tealight_balance::run::Record;

/// A topic: its name, and the name and the properties of its schema.
struct Topic {
    name: &'static str,
    schema: &'static str,
    /// A property's name and its type in JSON Schema.
    properties: &'static [(&'static str, &'static str)],
    /// The message of a period, if there is one.
    message: fn(&Trace, &Record) -> Option<Value>,
}

const TOPICS: &[Topic] = &[
    Topic {
        name: "/tf",
        schema: "foxglove.FrameTransform",
        properties: &[
            ("timestamp", "object"),
            ("parent_frame_id", "string"),
            ("child_frame_id", "string"),
            ("translation", "object"),
            ("rotation", "object"),
        ],
        message: |_, record| Some(transform(record)),
    },
    Topic {
        name: "/joint_states",
        schema: "tealight.JointStates",
        properties: &[
            ("position", "number"),
            ("speed", "number"),
            ("angle", "number"),
            ("rate", "number"),
            ("estimated_angle", "number"),
            ("estimated_rate", "number"),
            ("estimated_speed", "number"),
            ("torque", "number"),
            ("push", "number"),
        ],
        message: |_, record| Some(joint_states(record)),
    },
    Topic {
        name: "/scores",
        schema: "tealight.Scores",
        properties: &[("scores", "object")],
        message: |trace, record| scores(trace, record),
    },
    Topic {
        name: "/loop",
        schema: "tealight.LoopTiming",
        properties: &[("period_us", "number"), ("busy_us", "number"), ("slice_macs", "number")],
        message: |_, record| {
            Some(json!({ "period_us": record.period, "busy_us": record.busy, "slice_macs": record.slice }))
        },
    },
];

/// Returns the bytes of the file.
///
/// # Errors
/// Errors of the writer.
pub(crate) fn recording(trace: &Trace) -> Result<Vec<u8>> {
    let mut writer = WriteOptions::new()
        .compression(None)
        .library(concat!("tealight-simulate ", env!("CARGO_PKG_VERSION")))
        .create(Cursor::new(Vec::new()))?;
    for topic in TOPICS {
        let schema = writer.add_schema(topic.schema, "jsonschema", schema(topic).to_string().as_bytes())?;
        let channel_id = writer.add_channel(schema, topic.name, "json", &BTreeMap::new())?;
        for record in &trace.records {
            let Some(message) = (topic.message)(trace, record) else { continue };
            let log_time = record.micros * 1000;
            let header = MessageHeader { channel_id, sequence: record.index, log_time, publish_time: log_time };
            writer.write_to_known_channel(&header, message.to_string().as_bytes())?;
        }
    }
    writer.finish().context("cannot end the recording")?;
    Ok(writer.into_inner().into_inner())
}

fn schema(topic: &Topic) -> Value {
    let properties: serde_json::Map<String, Value> =
        topic.properties.iter().map(|(name, of)| ((*name).to_string(), json!({ "type": of }))).collect();
    json!({ "title": topic.schema, "type": "object", "properties": properties })
}

/// The pose of the body: x is forward, z is up, and the angle is a rotation around y.
fn transform(record: &Record) -> Value {
    let half = f64::from(record.state.angle) / 2.0;
    json!({
        "timestamp": { "sec": record.micros / 1_000_000, "nsec": record.micros % 1_000_000 * 1000 },
        "parent_frame_id": "world",
        "child_frame_id": "body",
        "translation": { "x": record.state.position, "y": 0, "z": tealight_balance::plant::ROBOT.wheel_radius },
        "rotation": { "x": 0, "y": half.sin(), "z": 0, "w": half.cos() },
    })
}

fn joint_states(record: &Record) -> Value {
    let (state, estimate) = (&record.state, &record.estimate);
    json!({
        "position": state.position,
        "speed": state.speed,
        "angle": state.angle,
        "rate": state.rate,
        "estimated_angle": estimate.angle,
        "estimated_rate": estimate.rate,
        "estimated_speed": estimate.speed,
        "torque": record.torque,
        "push": record.force,
    })
}

/// The probabilities of the classes by their labels.
fn scores(trace: &Trace, record: &Record) -> Option<Value> {
    let scores = record.scores?;
    let share = |score: &i8| Value::from((f64::from(*score) + 128.0) / 256.0);
    let named: serde_json::Map<String, Value> = trace.labels.iter().cloned().zip(scores.iter().map(share)).collect();
    Some(json!({ "scores": named }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::tests::example;

    #[test]
    fn the_recording_is_read_back_with_every_topic_of_its_schema() {
        let trace = example(20_000);
        let bytes = recording(&trace).unwrap();
        let mut counts = BTreeMap::<String, usize>::new();
        let mut last = None;
        for message in mcap::MessageStream::new(&bytes).unwrap() {
            let message = message.unwrap();
            let schema = message.channel.schema.as_ref().unwrap();
            assert_eq!((&*message.channel.message_encoding, &*schema.encoding), ("json", "jsonschema"));
            let schema: Value = serde_json::from_slice(&schema.data).unwrap();
            let value: Value = serde_json::from_slice(&message.data).unwrap();
            let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
            assert_eq!(keys(&value), keys(&schema["properties"]), "{}", message.channel.topic);
            *counts.entry(message.channel.topic.clone()).or_default() += 1;
            if message.channel.topic == "/joint_states" {
                last = Some(value);
            }
        }
        let inferences = trace.summary.inferences as usize;
        let expected = [("/joint_states", 2_000), ("/loop", 2_000), ("/scores", inferences), ("/tf", 2_000)];
        assert_eq!(counts, expected.map(|(topic, count)| (topic.to_string(), count)).into());
        let position = last.unwrap()["position"].as_f64().unwrap();
        assert!((position - f64::from(trace.summary.position)).abs() < 1e-6);
    }
}
