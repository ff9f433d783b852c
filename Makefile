# What a user meets: make up, make test. `make help` lists the rest.
STACK ?= lab
VENV := .venv
PYTHON := $(VENV)/bin/python
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

.DEFAULT_GOAL := help
.PHONY: $(shell sed -n 's/^\([a-z-]*\):.*\#\# .*/\1/p' $(MAKEFILE_LIST))

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: $(VENV)/ready ## set everything up, start the lab, pulumi up, prove a pull (STACK=lab; HOST=name: that host alone)
	@$(PYTHON) -m ops up --stack $(STACK) $(if $(HOST),--host $(HOST))

preview: $(VENV)/ready ## show what up would change, line by line; asks no host, but see observe (HOST=name: of one; MARKDOWN=file: too)
	@$(PYTHON) -m ops preview --stack $(STACK) $(if $(HOST),--host $(HOST)) $(if $(MARKDOWN),--markdown $(MARKDOWN))

render: $(VENV)/ready ## what up would write on hosts, as trees and as cloud-init (HOST=name; OUT=, BASE= folders, ON=docker=29.7,…): docs/render.md
	@$(PYTHON) -m ops render --stack $(STACK) $(if $(HOST),--host $(HOST)) $(if $(OUT),--out $(OUT)) $(if $(ON),--on $(ON)) $(if $(BASE),--base $(BASE))

refresh: $(VENV)/ready ## read what is there into the state
	@$(PYTHON) -m ops refresh --stack $(STACK)

drift: $(VENV)/ready ## ask the hosts what somebody has changed there; the next preview shows it, the next up repairs it
	@$(PYTHON) -m ops drift --stack $(STACK)

destroy: $(VENV)/ready ## take everything back: each host as it was before
	@$(PYTHON) -m ops destroy --stack $(STACK)

certificates: $(VENV)/ready ## sign the endpoints' certificates with an authority of the stack's own (RENEW=--renew: anew)
	@$(PYTHON) -m ops certificates --stack $(STACK) $(RENEW)

secret: $(VENV)/ready ## set a secret of the stack, asked for or from a pipe (KEY=name; without it: which are missing)
	@$(PYTHON) -m ops secret --stack $(STACK) $(if $(KEY),--key $(KEY))

ssh-key: $(VENV)/ready ## a new SSH key of the stack's own, for its hosts to take at the next up; prints its public half
	@$(PYTHON) -m ops ssh-key --stack $(STACK)

bundle: $(VENV)/ready ## make the bundle of offline_sync's images on its host, or bring it up to date: docs/offline.md
	@$(PYTHON) -m ops bundle --stack $(STACK)

bundle-verify: $(VENV)/ready ## read every byte of a bundle on the host of offline_sync (BUNDLE=folder or tar there)
	@$(PYTHON) -m ops bundle-verify --stack $(STACK) $(if $(BUNDLE),--bundle '$(BUNDLE)')

load: $(VENV)/ready ## verify a bundle and load it into the stack's registries (BUNDLE=folder or tar on the host)
	@$(PYTHON) -m ops load --stack $(STACK) $(if $(BUNDLE),--bundle '$(BUNDLE)')

prune: $(VENV)/ready ## show what left the list of offline_sync, in the bundle or in the registries (YES=1: remove it)
	@$(PYTHON) -m ops prune --stack $(STACK) $(if $(YES),--yes)

gc: $(VENV)/ready ## remove now what no image of a registry uses (garbage_collection)
	@$(PYTHON) -m ops gc --stack $(STACK)

forget: $(VENV)/ready ## drop a host that is gone for good from the state (HOST=name)
	@$(PYTHON) -m ops forget --stack $(STACK) --host $(HOST)

reinstalled: $(VENV)/ready ## drop from the state what was on a host that was installed from scratch; up makes it anew (HOST=name)
	@$(PYTHON) -m ops reinstalled --stack $(STACK) --host $(HOST)

move: $(VENV)/ready ## copy a registry's images to another host, pushes held off at the end (REGISTRY=name TO=host; BACK=--back: stay)
	@$(PYTHON) -m ops move --stack $(STACK) --registry $(REGISTRY) $(if $(TO),--to $(TO)) $(BACK)

backup: $(VENV)/ready ## copy state, files and images into a folder, while all goes on (TO=folder, backups/ if absent; KEEP=how many stay)
	@$(PYTHON) -m ops backup --stack $(STACK) $(if $(TO),--to $(TO)) $(if $(KEEP),--keep $(KEEP))

restore: $(VENV)/ready ## check a backup, and put back what is missing (FROM=folder; YES=1: overwrite what differs; CHECK=1: only check)
	@$(PYTHON) -m ops restore --stack $(STACK) --from $(FROM) $(if $(YES),--yes) $(if $(CHECK),--check)

reach: $(VENV)/ready ## who reaches a port, and which rule decides (HOST=name FROM=address PORT=number, TO=, INTERFACE=; without FROM the host asks)
	@$(PYTHON) -m ops reach --stack $(STACK) --host $(HOST) --port $(PORT) $(if $(FROM),--from $(FROM)) \
	  $(if $(TO),--to $(TO)) $(if $(INTERFACE),--interface $(INTERFACE))

doctor: $(VENV)/ready ## why a pull fails, and what to do about it (IMAGE=reference, HOST=name, JSON=1); docs/troubleshooting.md
	@$(PYTHON) -m ops doctor --stack $(STACK) $(if $(IMAGE),--image '$(IMAGE)') $(if $(HOST),--host $(HOST)) $(if $(JSON),--json)

adopt: $(VENV)/ready ## read hosts configured by hand, print stack settings that say the same (HOST='addresses or names'); docs/adopt.md
	@$(PYTHON) -m ops adopt --stack $(if $(findstring file,$(origin STACK)),ours,$(STACK)) --host '$(HOST)'

dashboard: $(VENV)/ready ## print the Grafana dashboard of a stack's metrics, for Grafana's "import" (docs/metrics.md)
	@$(PYTHON) -m ops dashboard

sdk: $(VENV)/ready ## write the SDK with which programs of another language use the components (LANGUAGE=python, OUT=sdk)
	@$(PYTHON) -m ops sdk $(if $(LANGUAGE),--language $(LANGUAGE)) $(if $(OUT),--out '$(OUT)')

policy: policy/$(VENV)/ready ## make the policy pack ready to run (docs/policy.md)

test: $(VENV)/ready ## all checks: lint, types, fast tests, previews, real hosts (the lab is made anew)
	@$(PYTHON) -m ops.tiers

bench: $(VENV)/ready ## measure the proxy beside what people use instead, on the lab with its stack up: docs/benchmarks.md
	@$(PYTHON) -m bench

bench-scale: $(VENV)/ready ## measure 10, 50 and 200 light hosts, beside ansible and pyinfra: docs/fleet.md
	@$(PYTHON) -m bench.fleet

fuzz: $(VENV)/ready ## feed every parser with what nobody would write (TARGET=name, SECONDS=600 for each); docs/reliability.md
	@$(PYTHON) -m fuzz --seconds $(or $(SECONDS),600) $(if $(TARGET),--target $(TARGET))

soak: $(VENV)/ready ## pulls, pushes, changes and clean-ups on the lab, memory and lost requests watched (MINUTES=60)
	@lab/up && $(PYTHON) -m bench.soak --minutes $(or $(MINUTES),60)

lint: $(VENV)/ready ## format, lint and types
	@ruff format --check . && ruff check . && mypy && mypy examples/app-infra

unit: $(VENV)/ready ## the tests that need neither root nor the engine
	@$(PYTHON) -m pytest -q

lab-down: $(VENV)/ready ## stop the lab and leave nothing behind
	@lab/down

clean: ## forget what was made here (the lab's Pulumi state too)
	rm -rf .work $(VENV) policy/$(VENV)

$(VENV)/ready: requirements.txt constraints.txt
	@echo "venv: installing requirements.txt"
	@python3 -m venv $(VENV) 2>/dev/null || { apt-get update -qq && apt-get install -y -qq python3-venv && python3 -m venv $(VENV); }
	@$(VENV)/bin/pip install -q --disable-pip-version-check -r requirements.txt -c constraints.txt
	@touch $@

policy/$(VENV)/ready: policy/requirements.txt policy/constraints.txt | $(VENV)/ready
	@echo "policy: installing policy/requirements.txt"
	@$(PYTHON) -m venv policy/$(VENV)
	@policy/$(VENV)/bin/pip install -q --disable-pip-version-check -r policy/requirements.txt
	@touch $@
