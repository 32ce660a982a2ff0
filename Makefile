# Each target does all of its own set-up on a fresh machine: see .ci/cargo, .ci/schemathesis and deploy/local/services.

CARGO := .ci/cargo
BENCHES := log orders replay query
CLUSTER_BENCHES := project cluster
TEST_FLAGS ?= --workspace --no-fail-fast
# Stories of one process that are also told of processes around Kafka and PostgreSQL.
CLUSTER_STORIES := bad_input both_times cash export funds idempotency kill9 ledger_runs openapi orders real_server square_off tail

.DEFAULT_GOAL := help
.PHONY: help run test test-cluster faults equality lint bench bench-cluster fixture services services-down services-status

help: ## say what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## build and run the demo: a server with accounts, a venue and a moving market; ARGS="--seed 7" adds options
	@$(CARGO) run --release --locked --package bahi -- demo $(ARGS)

test: ## start the services and run every test, from single sums to the running binary; TEST_FLAGS="--package domain" narrows it
	@.ci/schemathesis
	@deploy/local/services up
	@$(CARGO) build --locked --workspace --bins --tests
	@eval "$$(deploy/local/services env)" && $(CARGO) test --locked $(TEST_FLAGS)
	@$(if $(filter file,$(origin TEST_FLAGS)),$(MAKE) --no-print-directory test-cluster)

test-cluster: ## tell the stories of one process again, of api, writer, projector and venue around Kafka and PostgreSQL
	@.ci/schemathesis
	@deploy/local/services up
	@$(CARGO) build --locked --workspace --bins --tests
	@eval "$$(deploy/local/services env)" && BAHI_TESTS_ON=cluster $(CARGO) test --locked --no-fail-fast --workspace $(CLUSTER_STORIES:%=--test %)

faults: ## kill, stop and double processes and services under 2,400 orders per second, in release; BAHI_SEED=7 chooses the moments
	@deploy/local/services up
	@$(CARGO) build --locked --release --workspace --bins
	@eval "$$(deploy/local/services env)" && BAHI_FAULTS=all $(CARGO) test --locked --release --workspace --test faults -- --nocapture --test-threads 1

equality: ## after 100,000 random commands: equal rows in PostgreSQL, in memory and in a replay, in release; BAHI_SEED=7 chooses them
	@deploy/local/services up
	@$(CARGO) build --locked --release --workspace --bins
	@eval "$$(deploy/local/services env)" && BAHI_EQUALITY=$${BAHI_EQUALITY:-100000} $(CARGO) test --locked --release --workspace --test equality -- --nocapture

lint: ## check format, lints and docs
	@$(CARGO) fmt --all --check
	@$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	@RUSTDOCFLAGS='-D warnings' $(CARGO) doc --locked --workspace --no-deps

fixture: ## keep a data folder of this release, once, at its release: see tests/fixtures/README.md
	@$(CARGO) build --locked --workspace --bins --examples
	@$(CARGO) run --quiet --locked --package tests --example data_folder

bench: ## measure everything that has a bar, in release; BENCHES="log" narrows it
	@$(CARGO) build --release --locked --package bahi
	@for name in $(BENCHES); do $(CARGO) run --quiet --release --locked --package bahi -- bench $$name || exit 1; done

bench-cluster: ## measure processes around Kafka and PostgreSQL, in release, in topics and databases that are removed afterwards; CLUSTER_BENCHES="takeover" narrows it
	@deploy/local/services up
	@$(CARGO) build --release --locked --package bahi
	@eval "$$(deploy/local/services env)" && for name in $(CLUSTER_BENCHES); do $(CARGO) run --quiet --release --locked --package bahi -- bench $$name --brokers "$$BAHI_KAFKA_BROKERS" || exit 1; done

services: ## start Kafka, PostgreSQL and Redis on this machine and wait until they answer; SERVICES="postgres" narrows it
	@deploy/local/services up $(SERVICES)

services-down: ## stop them; their data stays, until: deploy/local/services wipe
	@deploy/local/services down $(SERVICES)

services-status: ## say which of them answer, and where
	@deploy/local/services status $(SERVICES) || true
