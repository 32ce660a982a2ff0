//! The binary `bahi`: a table of subcommands, one file each; knows no rule of the ledger.

mod backup;
mod bench;
mod check_config;
mod demo;
mod export;
mod import;
mod migrate;
mod rebuild;
mod replay;
mod roles;
mod serve;
mod show;
mod tail;
mod token;
mod topics;
mod verify;

mod client;
mod clock;
mod config;
mod error;
mod keys;
mod listener;
mod market;
mod out;
mod pages;
mod product;
mod progress;
mod settings;
mod source;
mod traces;
mod wire;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Allocations are a tenth of the work of an order; this allocator does them faster than the system's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const EXAMPLES: &str = "\
A first look, with invented shares, funds and accounts:
  bahi demo

A ledger of your own:
  bahi serve --data ./ledger --listen 127.0.0.1:7070
  bahi token --data ./ledger --role operator
  bahi import bhavcopy sec_bhavdata_full.csv --url http://127.0.0.1:7070 --token TOKEN
  bahi tail --data ./ledger --follow
  bahi show ACC1 --data ./ledger
  bahi verify --data ./ledger
  bahi backup --data ./ledger --out ledger-backup.db

Each subcommand has examples of its own: bahi import --help";

/// An event-sourced trading ledger: orders, funds, holdings and rupees as entries that are never changed.
#[derive(Parser)]
#[command(name = "bahi", version, after_help = EXAMPLES, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Serve(serve::Args),
    Demo(demo::Args),
    Api(roles::api::Args),
    Writer(roles::writer::Args),
    Projector(roles::projector::Args),
    Venue(roles::venue::Args),
    Migrate(migrate::Args),
    Rebuild(rebuild::Args),
    Token(token::Args),
    Show(show::Args),
    Tail(tail::Args),
    Verify(verify::Args),
    Replay(replay::Args),
    Export(export::Args),
    Import(import::Args),
    Backup(backup::Args),
    Topics(topics::Args),
    Bench(bench::Args),
    CheckConfig(check_config::Args),
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Serve(args) => serve::run(args),
        Command::Demo(args) => demo::run(args),
        Command::Api(args) => roles::api::run(args),
        Command::Writer(args) => roles::writer::run(args),
        Command::Projector(args) => roles::projector::run(args),
        Command::Migrate(args) => migrate::run(args),
        Command::Rebuild(args) => rebuild::run(args),
        Command::Venue(args) => roles::venue::run(args),
        Command::Token(args) => token::run(args),
        Command::Show(args) => show::run(args),
        Command::Tail(args) => tail::run(args),
        Command::Verify(args) => verify::run(args),
        Command::Replay(args) => replay::run(args),
        Command::Export(args) => export::run(args),
        Command::Import(args) => import::run(args),
        Command::Backup(args) => backup::run(args),
        Command::Topics(args) => topics::run(args),
        Command::Bench(args) => bench::run(args),
        Command::CheckConfig(args) => check_config::run(args),
    };
    error::exit(done)
}
