//! Link flags of a Node-API addon: its `napi_*` symbols come from the process that loads it.

fn main() {
    napi_build::setup();
}
