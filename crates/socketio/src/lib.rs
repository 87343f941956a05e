//! A small Socket.IO client: Engine.IO 4 over polling and WebSocket, Socket.IO 5 on top.
