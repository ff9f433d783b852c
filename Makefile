# What a user meets: make up, make test. `make help` lists the rest.
STACK ?= lab
VENV := .venv
PYTHON := $(VENV)/bin/python
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

.DEFAULT_GOAL := help
.PHONY: help up preview drift destroy refresh reach certificates gc forget test unit bench lint lab-down clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: $(VENV)/ready ## set everything up, start the lab, pulumi up, prove a pull (STACK=lab)
	@$(PYTHON) -m ops up --stack $(STACK)

preview: $(VENV)/ready ## show what up would change, line by line; reaches no host (but see observe)
	@$(PYTHON) -m ops preview --stack $(STACK)

refresh: $(VENV)/ready ## read what is there into the state
	@$(PYTHON) -m ops refresh --stack $(STACK)

drift: $(VENV)/ready ## ask the hosts what somebody has changed there; the next preview shows it, the next up repairs it
	@$(PYTHON) -m ops drift --stack $(STACK)

destroy: $(VENV)/ready ## take everything back: each host as it was before
	@$(PYTHON) -m ops destroy --stack $(STACK)

certificates: $(VENV)/ready ## sign the endpoints' certificates with an authority of the stack's own (RENEW=--renew: anew)
	@$(PYTHON) -m ops certificates --stack $(STACK) $(RENEW)

gc: $(VENV)/ready ## remove now what no image of a registry uses (garbage_collection)
	@$(PYTHON) -m ops gc --stack $(STACK)

forget: $(VENV)/ready ## drop a host that is gone for good from the state (HOST=name)
	@$(PYTHON) -m ops forget --stack $(STACK) --host $(HOST)

reach: $(VENV)/ready ## who reaches a port, and which rule decides (HOST=name FROM=address PORT=number, TO=, INTERFACE=)
	@$(PYTHON) -m ops reach --stack $(STACK) --host $(HOST) --from $(FROM) --port $(PORT) \
	  $(if $(TO),--to $(TO)) $(if $(INTERFACE),--interface $(INTERFACE))

test: $(VENV)/ready ## all checks: lint, types, fast tests, previews, real hosts (the lab is made anew)
	@$(PYTHON) -m ops.tiers

bench: $(VENV)/ready ## measure the proxy beside what people use instead, on the lab with its stack up: docs/benchmarks.md
	@$(PYTHON) -m bench

lint: $(VENV)/ready ## format, lint and types
	@ruff format --check . && ruff check . && mypy && mypy examples/app-infra

unit: $(VENV)/ready ## the tests that need neither root nor the engine
	@$(PYTHON) -m pytest -q

lab-down: $(VENV)/ready ## stop the lab and leave nothing behind
	@lab/down

clean: ## forget what was made here (the lab's Pulumi state too)
	rm -rf .work $(VENV)

$(VENV)/ready: requirements.txt constraints.txt
	@echo "venv: installing requirements.txt"
	@python3 -m venv $(VENV) 2>/dev/null || { apt-get update -qq && apt-get install -y -qq python3-venv && python3 -m venv $(VENV); }
	@$(VENV)/bin/pip install -q --disable-pip-version-check -r requirements.txt -c constraints.txt
	@touch $@
