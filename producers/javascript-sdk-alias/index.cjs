module.exports = require("phospho");
