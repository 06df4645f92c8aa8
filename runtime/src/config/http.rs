//! `[http]`: the bounds of the listeners.

use super::section::{Keys, Section};
use super::value::{count, time, time_or_none};
use crate::http::{HttpLimits, Rate};

impl Section for HttpLimits {
    fn visit(&mut self, keys: &mut dyn Keys) {
        let Self {
            connections_max,
            head_time_max,
            request_time_max,
            write_stall_max,
            keep_alive_every,
            shutdown_grace,
            frames,
            requests,
            operators,
        } = self;
        keys.key(
            "connections_max",
            &mut count(connections_max),
            "Connections at once; more wait in the kernel",
        );
        keys.key("head_time_max", &mut time(head_time_max), "How long a request's head may take");
        keys.key(
            "request_time_max",
            &mut time(request_time_max),
            "How long a request may take, its answer included; streams and uploads are no such requests",
        );
        keys.key(
            "write_stall_max",
            &mut time(write_stall_max),
            "How long a peer may read nothing of what is written to it",
        );
        keys.key(
            "keep_alive_every",
            &mut time(keep_alive_every),
            "How often a silent event stream says that it is alive",
        );
        keys.key(
            "shutdown_grace",
            &mut time_or_none(shutdown_grace),
            "How long connections stay open for acknowledgements when the node stops, and how long they may then take to end",
        );
        keys.section(
            "frames",
            frames,
            "How fast one WebSocket may talk; beyond it, it is read more slowly",
        );
        keys.section(
            "requests",
            requests,
            "How fast one connection may ask; beyond it, it is answered more slowly",
        );
        keys.section(
            "operators",
            operators,
            "How fast all operators together may ask, so that receipts never wait for them; beyond it, they take turns",
        );
    }
}

impl Section for Rate {
    fn visit(&mut self, keys: &mut dyn Keys) {
        let Self { per_second, burst } = self;
        keys.key(
            "per_second",
            &mut count(per_second),
            "How often in a second, for as long as one likes",
        );
        keys.key("burst", &mut count(burst), "How often at once, after a pause");
    }
}
