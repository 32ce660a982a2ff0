//! A Redis of its own, on a socket in a folder of its own, that can be killed, stopped and emptied.

use crate::redis::Redis;
use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};
use tempfile::TempDir;

/// No step takes longer, on any machine that builds this.
const WAIT: Duration = Duration::from_secs(60);

/// It ends with this.
pub(crate) struct Server {
    folder: TempDir,
    child: Child,
}

impl Server {
    pub(crate) fn start() -> Server {
        let folder = tempfile::tempdir().expect("a folder");
        let child = spawn(&folder);
        Server { folder, child }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis+unix://{}", self.socket().display())
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("redis.sock")
    }

    /// Waits until what is kept there can be asked.
    pub(crate) async fn answers(&self, redis: &Redis) {
        let answered = async {
            while redis.0.link.ask::<String>(&::redis::Script::new("return 'it is'").prepare_invoke()).await.is_none() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(WAIT, answered).await.expect("it answers");
    }

    /// What a person is told by `redis-cli`.
    pub(crate) fn asked(&self, words: &[&str]) -> String {
        let asked = Command::new("redis-cli").arg("-s").arg(self.socket()).args(words).output();
        let asked = asked.expect("redis-cli is installed");
        assert!(asked.status.success(), "{words:?}: {}", String::from_utf8_lossy(&asked.stderr));
        String::from_utf8(asked.stdout).expect("UTF-8").trim().to_owned()
    }

    pub(crate) fn run(&self, words: &[&str]) {
        let said = self.asked(words);
        assert!(!said.starts_with("ERR") && !said.contains("Could not connect"), "{words:?}: {said}");
    }

    /// `STOP`, `CONT` or `KILL`.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(sent.expect("kill can be started").success());
    }

    /// Empty, after it was killed.
    pub(crate) fn restart(&mut self) {
        self.child.wait().expect("it has ended");
        self.child = spawn(&self.folder);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn spawn(folder: &TempDir) -> Child {
    let mut server = Command::new("redis-server");
    server
        .args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"])
        .arg(folder.path().join("redis.sock"));
    server.arg("--dir").arg(folder.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    server.spawn().unwrap_or_else(|error| panic!("{error}; `make services` installs Redis"))
}
