fn main() -> anyhow::Result<()> {
    let cache = tealight_tests::root().join("target/tealight-cache");
    let data = tealight_models::digits::data::load(&cache)?;
    let w = tealight_models::digits::training::train(&data)?;
    let w: std::collections::HashMap<_, _> = w.into_iter().map(|(n, v)| (n, v.as_tensor().clone())).collect();
    candle_core::safetensors::save(&w, "/tmp/digits.float.safetensors")?;
    Ok(())
}
