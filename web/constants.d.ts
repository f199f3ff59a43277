// Constants that the build writes into the bundles (build_scripts/bundle.py).

/** The version of this package, "MAJOR.MINOR.PATCH". */
declare const __ROOMKEY_VERSION__: string;

/** The subresource integrity of assets-manifest.json, "sha256-BASE64"; in index.js only. */
declare const __ROOMKEY_MANIFEST_INTEGRITY__: string;
