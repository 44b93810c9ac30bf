package config

// AsLoaded returns the configuration as [Load] would.
func AsLoaded(cfg Config) *Config {
	cfg.loaded = true
	return &cfg
}
