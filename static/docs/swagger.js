"use strict";
// Starts Swagger UI on the OpenAPI document named by the page; a file of its own because the page allows no inline script.
window.ui = SwaggerUIBundle({
  url: document.getElementById("docs").dataset.openapi,
  dom_id: "#docs",
  deepLinking: true,
  validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
});
