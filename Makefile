.PHONY: help demo test test-fast test-all lab lint format bench clean

help:            ## what there is to make
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

demo:            ## run examples/maintenance from data to a served model
	@scripts/setup demo
	@scripts/demo

test:            ## lint and every test that this machine can run, and where the time went
	@scripts/test

test-fast:       ## the tests without real frameworks, browsers and kills
	@scripts/setup test
	@.venv/bin/python -m pytest -m "not slow and not lab" --numprocesses=3 --dist=worksteal

test-all:        ## the tests with every add-on of the lab, built first (an hour when nothing is cached)
	@PLIMSOLL_LAB_BUILD=--all PLIMSOLL_TESTS=all $(MAKE) test

lab:             ## a real Kubernetes of three nodes with what the tests need
	@scripts/setup test
	@scripts/test-packages
	@.venv/bin/python -m lab up --accelerated 1 --with jobset,kueue,gateway,custom-metrics,metrics-server,autoscaler,registry

lint:            ## formatter, linter, strict types, import contracts
	@scripts/setup test
	@scripts/lint

format:          ## rewrite the code in its one form
	@scripts/setup test
	@.venv/bin/ruff format . && .venv/bin/ruff check --fix .

bench:           ## every benchmark, each against a peer or a limit
	@scripts/setup test
	@.venv/bin/python -m benchmarks

clean:           ## remove what make and runs have made in the tree
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name .plimsoll -type d -prune -exec rm -rf {} +
