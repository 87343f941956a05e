//! Reads the configuration of nginx, Apache and HAProxy for what keeps WebSockets from passing. Pure.
